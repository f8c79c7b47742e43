// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {ConsortiumCore} from "../ConsortiumCore.sol";
import {IConsortiumERC20} from "../interfaces/IConsortiumERC20.sol";
import {Errors} from "../libraries/Errors.sol";

/// @title One ERC-20 token as the asset
/// @notice The token must deliver exactly what is transferred and never change balances by itself: those that take a fee
/// are refused at the first deposit, and those that rebase downwards would leave bonds uncovered. Tokens and ether that
/// arrive without a deposit belong to nobody and stay.
abstract contract TokenAsset is IConsortiumERC20, ConsortiumCore {
    using SafeERC20 for IERC20;

    /// @inheritdoc IConsortiumERC20
    function depositSubmit(uint256 index, bytes32 termsHash_, uint256 amount) external {
        _deposit(index, termsHash_, amount);
    }

    function _checkToken(address token) internal view override {
        require(token.code.length != 0, Errors.UnsupportedToken(token));
    }

    function _pull(uint256 amount) internal override {
        IERC20 token = IERC20(TOKEN);
        uint256 before = token.balanceOf(address(this));
        require(
            token.trySafeTransferFrom(msg.sender, address(this), amount),
            Errors.TransferFailed(address(this), amount)
        );
        require(token.balanceOf(address(this)) == before + amount, Errors.UnsupportedToken(TOKEN));
    }

    function _push(address payable to, uint256 amount) internal override {
        require(IERC20(TOKEN).trySafeTransfer(to, amount), Errors.TransferFailed(to, amount));
    }
}
