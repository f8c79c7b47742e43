// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title A wallet of several owners, as Safe 1.4 is
/// @notice The same hashes, the same order of signatures and the same calls as Safe with its
/// CompatibilityFallbackHandler. What consortia do not use is left out: delegate calls, refunds of gas, modules, and
/// signatures that are contracts', approved on chain or made by eth_sign.
contract SafeWallet {
    bytes32 private constant DOMAIN_TYPEHASH = keccak256("EIP712Domain(uint256 chainId,address verifyingContract)");
    bytes32 private constant TRANSACTION_TYPEHASH = keccak256(
        "SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce)"
    );
    bytes32 private constant MESSAGE_TYPEHASH = keccak256("SafeMessage(bytes message)");
    uint256 private constant SIGNATURE_LENGTH = 65;

    uint256 public immutable threshold;
    uint256 public nonce;
    mapping(address account => bool owner) public isOwner;

    constructor(address[] memory owners, uint256 threshold_) {
        require(threshold_ != 0 && threshold_ <= owners.length, "GS202");
        threshold = threshold_;
        for (uint256 i; i < owners.length; ++i) {
            isOwner[owners[i]] = true;
        }
    }

    receive() external payable {}

    /// @notice Calls `to` once enough owners have signed for it.
    function execTransaction(
        address to,
        uint256 value,
        bytes memory data,
        uint8 operation,
        uint256 safeTxGas,
        uint256 baseGas,
        uint256 gasPrice,
        address gasToken,
        address payable refundReceiver,
        bytes memory signatures
    ) external payable returns (bool success) {
        require(operation == 0, "delegate calls are left out");
        require(safeTxGas | baseGas | gasPrice == 0, "refunds are left out");
        require(gasToken == address(0) && refundReceiver == address(0), "refunds are left out");
        checkSignatures(getTransactionHash(to, value, data, nonce++), signatures);
        (success, ) = to.call{value: value}(data);
        require(success, "GS013");
    }

    /// @notice EIP-1271: the owners sign a message of the wallet's own that contains the hash.
    function isValidSignature(bytes32 hash, bytes memory signatures) external view returns (bytes4) {
        require(signatures.length != 0, "Hash not approved");
        checkSignatures(getMessageHash(hash), signatures);
        return this.isValidSignature.selector;
    }

    function getTransactionHash(
        address to,
        uint256 value,
        bytes memory data,
        uint256 nonce_
    ) public view returns (bytes32) {
        bytes32 hash = keccak256(
            abi.encode(TRANSACTION_TYPEHASH, to, value, keccak256(data), 0, 0, 0, 0, address(0), address(0), nonce_)
        );
        return keccak256(abi.encodePacked(hex"1901", domainSeparator(), hash));
    }

    function getMessageHash(bytes32 hash) public view returns (bytes32) {
        bytes32 message = keccak256(abi.encode(MESSAGE_TYPEHASH, keccak256(abi.encode(hash))));
        return keccak256(abi.encodePacked(hex"1901", domainSeparator(), message));
    }

    function domainSeparator() public view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPEHASH, block.chainid, address(this)));
    }

    /// @dev Owners ascend, so that nobody signs twice.
    function checkSignatures(bytes32 hash, bytes memory signatures) private view {
        require(signatures.length >= threshold * SIGNATURE_LENGTH, "GS020");
        address last;
        for (uint256 i; i < threshold; ++i) {
            bytes32 r;
            bytes32 s;
            uint8 v;
            assembly ("memory-safe") {
                let place := add(add(signatures, 0x20), mul(i, SIGNATURE_LENGTH))
                r := mload(place)
                s := mload(add(place, 0x20))
                v := byte(0, mload(add(place, 0x40)))
            }
            address owner = ecrecover(hash, v, r, s);
            require(owner > last && isOwner[owner], "GS026");
            last = owner;
        }
    }
}
