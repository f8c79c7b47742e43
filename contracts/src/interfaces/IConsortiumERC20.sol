// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "./IConsortium.sol";

/// @title A consortium that settles in an ERC-20 token
interface IConsortiumERC20 is IConsortium {
    /// @notice Accepts the terms and adds tokens to the caller's bond, which must cover its liability then. The caller
    /// has allowed this contract to take them.
    /// @param index the caller's place in the member list
    /// @param termsHash hash of the terms that the caller accepts
    /// @param amount smallest units of the token; as many must arrive
    function depositSubmit(uint256 index, bytes32 termsHash, uint256 amount) external;
}
