// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../../src/interfaces/IConsortium.sol";
import {PlainKernel} from "../oracles/PlainKernel.sol";
import {TestBase} from "./Vm.sol";

/// @title A deployed consortium, its members, and what they do
/// @dev The contract comes from its compiled artifact: the tests run the bytes that are shipped.
/// Times are absolute everywhere: the optimizer may reuse an earlier `block.timestamp` after a warp.
abstract contract ConsortiumFixture is TestBase {
    uint256 internal constant ATTESTER_KEY = 0xa77e57;
    uint256 internal constant START = 1_700_000_000;
    bytes32 internal constant EVIDENCE = keccak256("evidence");

    bytes32 internal constant CONTRIBUTION_TYPEHASH = keccak256(
        "Contribution(bytes32 termsHash,uint32 round,address member,uint64 data,uint64 generated,uint64 compute,bytes32 evidenceHash)"
    );

    /// @dev An amount that settles some 1e15 wei for every sample of difference.
    uint160 internal constant GAMMA_WAD = 1e33;

    IConsortium internal consortium;
    address internal attester;
    address[] internal members;

    /// @dev Who opened the last round when; times of the tests count from here.
    uint256 internal opened;

    function setUp() public virtual {
        vm.warp(START);
        attester = vm.addr(ATTESTER_KEY);
        members = accounts(4);
        consortium = deploy(records(members), triangle(members.length), agreed());
    }

    function agreed() internal view virtual returns (IConsortium.Terms memory) {
        return
            IConsortium.Terms({
                gammaWad: GAMMA_WAD,
                generatedWeightWad: 0.5e18,
                lambdaWad: 0.25e18,
                attester: attester,
                arbiter: address(0xa4b17e4),
                token: address(0),
                submitWindow: 1 days,
                disputeWindow: 2 days,
                arbiterWindow: 3 days,
                minGap: 4 hours,
                quorum: 7500,
                minMembers: 3,
                maxRounds: 3,
                disputeBond: 1 ether,
                disputeDefault: 1,
                test: false,
                mode: 0,
                documentHash: keccak256("document")
            });
    }

    /// @dev `count` accounts without code, ascending.
    function accounts(uint256 count) internal pure returns (address[] memory list) {
        list = new address[](count);
        for (uint256 i; i < count; ++i) {
            list[i] = vm.addr(i + 1);
        }
        sort(list);
    }

    function sort(address[] memory list) internal pure {
        for (uint256 i = 1; i < list.length; ++i) {
            for (uint256 j = i; j > 0 && list[j - 1] > list[j]; --j) {
                (list[j - 1], list[j]) = (list[j], list[j - 1]);
            }
        }
    }

    /// @dev Terms of member `index`: all differ between members, and from zero.
    function termsOf(address account, uint256 index) internal pure returns (IConsortium.Member memory) {
        return
            IConsortium.Member({
                account: account,
                dataCap: uint64(100 + 10 * index),
                generatedCap: uint64(60 + index),
                computeCap: uint64(20 + index),
                weight: uint64(1e9 - 1e8 * (index % 5)),
                offset: -int128(int256(40e18 + 1e18 * index)),
                liability: 0
            });
    }

    function record(IConsortium.Member memory terms) internal pure returns (bytes memory) {
        return
            abi.encodePacked(
                terms.account,
                terms.dataCap,
                terms.generatedCap,
                terms.computeCap,
                terms.weight,
                terms.offset
            );
    }

    function records(address[] memory list) internal pure returns (bytes memory packed) {
        bytes[] memory parts = new bytes[](list.length);
        for (uint256 i; i < list.length; ++i) {
            parts[i] = record(termsOf(list[i], i));
        }
        return join(parts);
    }

    /// @dev Concatenates without copying what is already there again and again.
    function join(bytes[] memory parts) internal pure returns (bytes memory whole) {
        uint256 length;
        for (uint256 i; i < parts.length; ++i) {
            length += parts[i].length;
        }
        whole = new bytes(length);
        uint256 next;
        for (uint256 i; i < parts.length; ++i) {
            for (uint256 k; k < parts[i].length; ++k) {
                whole[next++] = parts[i][k];
            }
        }
    }

    function pairWeight(uint256 i, uint256 j) internal pure returns (uint16) {
        if (i == j) return 0;
        (i, j) = i < j ? (i, j) : (j, i);
        return i == 0 && j == 1 ? type(uint16).max : uint16(uint256(keccak256(abi.encode(i, j))));
    }

    function weights(uint256 count) internal pure returns (uint16[][] memory matrix) {
        matrix = new uint16[][](count);
        for (uint256 i; i < count; ++i) {
            matrix[i] = new uint16[](count);
            for (uint256 j; j < count; ++j) {
                matrix[i][j] = pairWeight(i, j);
            }
        }
    }

    function triangle(uint256 count) internal pure returns (bytes memory) {
        return PlainKernel.pack(weights(count));
    }

    function deploy(
        bytes memory records_,
        bytes memory triangle_,
        IConsortium.Terms memory terms
    ) internal returns (IConsortium) {
        return create(creation(records_, triangle_, terms));
    }

    /// @dev Passes a failure's reason on.
    function create(bytes memory code) internal returns (IConsortium) {
        address deployed;
        assembly ("memory-safe") {
            deployed := create(0, add(code, 0x20), mload(code))
            if iszero(deployed) {
                let reason := mload(0x40)
                returndatacopy(reason, 0, returndatasize())
                revert(reason, returndatasize())
            }
        }
        return IConsortium(deployed);
    }

    function creation(
        bytes memory records_,
        bytes memory triangle_,
        IConsortium.Terms memory terms
    ) internal view returns (bytes memory) {
        return
            bytes.concat(vm.getCode("ConsortiumNative.sol:ConsortiumNative"), abi.encode(records_, triangle_, terms));
    }

    function scoreOf(uint256 index, IConsortium.Contribution memory contribution) internal view returns (int256) {
        IConsortium.Member memory terms = termsOf(members[index], index);
        IConsortium.Terms memory scalars = agreed();
        return
            PlainKernel.score(
                [uint256(contribution.data), contribution.generated, contribution.compute],
                [uint256(scalars.generatedWeightWad), scalars.lambdaWad],
                terms.weight,
                terms.offset
            );
    }

    function expectedLiabilities() internal view returns (uint256[] memory) {
        uint256 count = members.length;
        int256[] memory largest = new int256[](count);
        int256[] memory offsets = new int256[](count);
        for (uint256 i; i < count; ++i) {
            IConsortium.Member memory terms = termsOf(members[i], i);
            largest[i] = scoreOf(i, IConsortium.Contribution(terms.dataCap, terms.generatedCap, terms.computeCap));
            offsets[i] = terms.offset;
        }
        return PlainKernel.liabilities(GAMMA_WAD, weights(count), largest, offsets);
    }

    function liability(uint256 index) internal view returns (uint256) {
        return consortium.member(index).liability;
    }

    // What people do. Every argument of a call is computed before `prank`, which counts view calls too.

    function deposit(uint256 index, uint256 amount) internal {
        bytes32 termsHash = consortium.termsHash();
        address account = members[index];
        vm.deal(account, account.balance + amount);
        vm.prank(account);
        consortium.depositSubmit{value: amount}(index, termsHash);
    }

    /// @dev Every member deposits `rounds` times its liability.
    function depositAll(uint256 rounds) internal {
        for (uint256 i; i < members.length; ++i) {
            deposit(i, rounds * liability(i));
        }
    }

    function open() internal {
        opened = block.timestamp;
        vm.prank(attester);
        consortium.roundOpen();
    }

    function contributionOf(uint256 index) internal view returns (IConsortium.Contribution memory) {
        IConsortium.Member memory terms = termsOf(members[index], index);
        return IConsortium.Contribution(terms.dataCap - uint64(7 * index), uint64((5 * index + 1) % 60), uint64(index));
    }

    function attest(uint256 index, IConsortium.Contribution memory contribution) internal view returns (bytes memory) {
        return
            signature(
                ATTESTER_KEY,
                consortium.contributionDigest(
                    index,
                    contribution.data,
                    contribution.generated,
                    contribution.compute,
                    EVIDENCE
                )
            );
    }

    function structHash(
        bytes32 termsHash,
        uint32 number,
        address account,
        IConsortium.Contribution memory given
    ) internal pure returns (bytes32) {
        return
            keccak256(
                abi.encode(
                    CONTRIBUTION_TYPEHASH,
                    termsHash,
                    number,
                    account,
                    given.data,
                    given.generated,
                    given.compute,
                    EVIDENCE
                )
            );
    }

    function signature(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function submit(uint256 index) internal {
        submit(index, contributionOf(index));
    }

    function submit(uint256 index, IConsortium.Contribution memory contribution) internal {
        submitAs(members[index], index, contribution, EVIDENCE, attest(index, contribution));
    }

    function submitAs(
        address sender,
        uint256 index,
        IConsortium.Contribution memory contribution,
        bytes32 evidence,
        bytes memory attesterSignature
    ) internal {
        vm.prank(sender);
        consortium.contributionSubmit(
            index,
            contribution.data,
            contribution.generated,
            contribution.compute,
            evidence,
            attesterSignature
        );
    }

    function submitAll() internal {
        for (uint256 i; i < members.length; ++i) {
            submit(i);
        }
    }

    /// @dev From idle to recorded with everybody's contribution.
    function reachRecorded() internal {
        depositAll(2);
        open();
        submitAll();
        consortium.profileRecord();
    }

    function reachCalculated() internal {
        reachRecorded();
        vm.warp(uint256(consortium.round().deadline) + 1);
        consortium.payoffCalculate();
    }

    function expectPhase(IConsortium.Phase phase) internal view {
        vm.assertEq(uint256(consortium.round().phase), uint256(phase), "phase");
    }
}
