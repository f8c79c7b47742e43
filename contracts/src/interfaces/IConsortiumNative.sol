// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "./IConsortium.sol";

/// @title A consortium that settles in ether
interface IConsortiumNative is IConsortium {
    /// @notice Accepts the terms and adds the ether sent to the caller's bond, which must cover its liability then.
    /// @param index the caller's place in the member list
    /// @param termsHash hash of the terms that the caller accepts
    function depositSubmit(uint256 index, bytes32 termsHash) external payable;
}
