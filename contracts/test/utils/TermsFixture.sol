// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../../src/interfaces/IConsortium.sol";
import {Token} from "../mocks/Tokens.sol";
import {PlainKernel} from "../oracles/PlainKernel.sol";
import {TestBase} from "./Vm.sol";

/// @title Terms of a consortium, and a contract deployed with them
/// @dev The contract comes from its compiled artifact: the tests run the bytes that are shipped.
abstract contract TermsFixture is TestBase {
    uint256 internal constant ATTESTER_KEY = 0xa77e57;
    address internal constant ARBITER = address(0xa4b17e4);

    /// @dev An amount that settles some 1e15 wei for every sample of difference.
    uint160 internal constant GAMMA_WAD = 1e33;

    // Which of the four contracts; to be set before it is deployed.

    /// @dev Whether the attester signs the payoffs.
    bool internal vector;

    /// @dev Whether absent members pay by their stand-ins; set like `vector`.
    bool internal charging;

    /// @dev The asset; ether if there is none.
    Token internal token;

    IConsortium internal consortium;
    address internal attester;
    address[] internal members;

    function agreed() internal view virtual returns (IConsortium.Terms memory) {
        return
            IConsortium.Terms({
                gammaWad: vector ? 0 : GAMMA_WAD,
                generatedWeightWad: 0.5e18,
                lambdaWad: 0.25e18,
                attester: attester,
                arbiter: ARBITER,
                token: address(token),
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
                mode: vector ? 1 : 0,
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

    /// @dev Terms of member `index`: all differ between members, and from zero. In vector mode the largest debit stands
    /// in the offset's place.
    function termsOf(address account, uint256 index) internal view returns (IConsortium.Member memory) {
        return
            IConsortium.Member({
                account: account,
                dataCap: uint64(100 + 10 * index),
                generatedCap: uint64(60 + index),
                computeCap: uint64(20 + index),
                weight: vector ? 0 : uint64(1e9 - 1e8 * (index % 5)),
                offset: vector ? int128(int256(0.1 ether + index)) : -int128(int256(40e18 + 1e18 * index)),
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

    function records(address[] memory list) internal view returns (bytes memory packed) {
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

    function triangle(uint256 count) internal view returns (bytes memory) {
        return vector ? bytes("") : PlainKernel.pack(weights(count));
    }

    /// @dev The score of member `index`'s stand-in: half of its data, a third of what it may generate.
    function standIn(uint256 index) internal view returns (int256) {
        IConsortium.Member memory terms = termsOf(address(0), index);
        return scoreOf(index, IConsortium.Contribution(terms.dataCap / 2, terms.generatedCap / 3, 0));
    }

    function standIns(uint256 count) internal view returns (bytes memory) {
        if (!charging) return "";
        int256[] memory scores = new int256[](count);
        for (uint256 i; i < count; ++i) {
            scores[i] = standIn(i);
        }
        return packScores(scores);
    }

    function packScores(int256[] memory scores) internal pure returns (bytes memory) {
        bytes[] memory parts = new bytes[](scores.length);
        for (uint256 i; i < scores.length; ++i) {
            parts[i] = abi.encodePacked(int128(scores[i]));
        }
        return join(parts);
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
        return creation(records_, triangle_, standIns(records_.length / 68), terms);
    }

    function creation(
        bytes memory records_,
        bytes memory triangle_,
        bytes memory standIns_,
        IConsortium.Terms memory terms
    ) internal view returns (bytes memory) {
        return bytes.concat(vm.getCode(artifact()), abi.encode(records_, triangle_, standIns_, terms));
    }

    /// @dev The contract under test.
    function artifact() private view returns (string memory) {
        if (address(token) == address(0)) {
            return
                vector ? "VectorConsortiumNative.sol:VectorConsortiumNative" : "ConsortiumNative.sol:ConsortiumNative";
        }
        return vector ? "VectorConsortiumERC20.sol:VectorConsortiumERC20" : "ConsortiumERC20.sol:ConsortiumERC20";
    }

    function scoreOf(uint256 index, IConsortium.Contribution memory contribution) internal view returns (int256) {
        IConsortium.Member memory terms = termsOf(address(0), index);
        IConsortium.Terms memory scalars = agreed();
        return
            PlainKernel.score(
                [uint256(contribution.data), contribution.generated, contribution.compute],
                [uint256(scalars.generatedWeightWad), scalars.lambdaWad],
                terms.weight,
                terms.offset
            );
    }

    function expectedLiabilities() internal view returns (uint256[] memory worst) {
        uint256 count = members.length;
        if (vector) {
            worst = new uint256[](count);
            for (uint256 i; i < count; ++i) {
                worst[i] = uint256(int256(termsOf(members[i], i).offset));
            }
            return worst;
        }
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
}
