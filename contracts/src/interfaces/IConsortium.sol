// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title A consortium's settlement: bonds, attested contributions, budget-balanced redistribution
/// @notice Amounts are wei, times Unix seconds, indices positions in the sorted member list.
interface IConsortium {
    /// @notice Where the current round stands.
    enum Phase {
        Idle,
        Open,
        Recorded,
        Calculated
    }

    /// @notice The scalar terms, in the order in which they enter `termsHash`.
    struct Terms {
        uint160 gammaWad; // incentive · σ_max · wei per unit · 1e18
        uint128 generatedWeightWad; // score of one effective synthetic sample, 1e18 = one real sample
        uint128 lambdaWad; // score of one compute unit, 1e18 = one real sample
        address attester;
        address arbiter;
        address token; // zero: ether
        uint32 submitWindow;
        uint32 disputeWindow;
        uint32 arbiterWindow;
        uint32 minGap;
        uint16 quorum; // basis points of the participants
        uint8 minMembers;
        uint32 maxRounds;
        uint128 disputeBond;
        uint8 disputeDefault; // 0 settle, 1 void
        bool test; // true lifts the one-hour minimum of the windows
        uint8 mode; // 0 pairwise
        bytes32 documentHash;
    }

    /// @notice One member's terms; `liability` is the most a round can take from it.
    struct Member {
        address account;
        uint64 dataCap;
        uint64 generatedCap;
        uint64 computeCap;
        uint64 weight; // 1e9 = 1
        int128 offset; // 1e18 = 1
        uint128 liability; // wei
    }

    /// @notice One member's contribution to the current round.
    struct Contribution {
        uint64 data;
        uint64 generated;
        uint64 compute;
    }

    /// @notice The current round. Bit i of a bitmap stands for member i.
    struct Round {
        uint32 number;
        Phase phase;
        uint40 deadline; // end of the submit window (Open) or of the dispute window (Recorded)
        uint40 idleSince; // when the contract last returned to Idle; 0 before the first round
        uint120 participants;
        uint120 submitted;
        bytes32 roundHash;
    }

    event Accepted(uint256 indexed index, address indexed member, bytes32 termsHash);
    event Deposited(uint256 indexed index, address indexed member, uint256 amount, uint256 balance);
    event Withdrawn(uint256 indexed index, address indexed to, uint256 amount, uint256 balance);
    event ExitRequested(uint256 indexed index);
    event ExitCancelled(uint256 indexed index);
    event RoundOpened(uint256 indexed round, uint256 participants, uint256 deadline);
    event ContributionSubmitted(
        uint256 indexed round,
        uint256 indexed index,
        address indexed member,
        uint64 data,
        uint64 generated,
        uint64 compute,
        bytes32 evidenceHash,
        bytes attesterSignature
    );
    event ProfileRecorded(uint256 indexed round, bytes32 profileHash, uint256 submitted);
    /// @dev `reason` is "quorum".
    event RoundVoided(uint256 indexed round, bytes32 reason);
    event PayoffCalculated(uint256 indexed round, bytes32 payoffHash, int256[] payoffs);
    event PayoffTransferred(uint256 indexed round, bytes32 ledger);

    function depositSubmit(uint256 index, bytes32 termsHash) external payable;
    function roundOpen() external;
    function contributionSubmit(
        uint256 index,
        uint64 data,
        uint64 generated,
        uint64 compute,
        bytes32 evidenceHash,
        bytes calldata attesterSignature
    ) external;
    function profileRecord() external;
    function payoffCalculate() external;
    function payoffTransfer() external;
    function withdraw(uint256 index, uint256 amount, address payable to) external;
    function exitRequest(uint256 index) external;
    function exitCancel(uint256 index) external;

    function terms() external view returns (Terms memory);
    function termsHash() external view returns (bytes32);
    function termsBlob() external view returns (address pointer);
    function memberCount() external view returns (uint256);
    function member(uint256 index) external view returns (Member memory);
    function pairWeight(uint256 i, uint256 j) external view returns (uint16);
    function round() external view returns (Round memory);
    function accepted() external view returns (uint256 bitmap);
    function solvent() external view returns (uint256 bitmap);
    function exiting() external view returns (uint256 bitmap);
    function balanceOf(uint256 index) external view returns (uint256);
    function payoffOf(uint256 index) external view returns (int256);
    function contributionOf(uint256 index) external view returns (Contribution memory);
    function totalBalance() external view returns (uint256);
    function ledger() external view returns (bytes32);
    /// @notice EIP-712 digest that the attester signs for a contribution to the current round.
    function contributionDigest(uint256 index, uint64 data, uint64 generated, uint64 compute, bytes32 evidenceHash)
        external
        view
        returns (bytes32);
}
