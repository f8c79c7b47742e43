// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title A consortium's settlement: bonds, attested contributions, budget-balanced redistribution
/// @notice Amounts are wei of ether or the smallest units of a token, called wei throughout; times are Unix seconds,
/// indices positions in the sorted member list. How the asset comes in is the concrete contract's: see
/// `IConsortiumNative` and `IConsortiumERC20`.
interface IConsortium {
    /// @notice Where the current round stands.
    enum Phase {
        Idle,
        Open,
        Recorded,
        Disputed,
        Calculated
    }

    /// @notice How a dispute ends; the first two can be the terms' default.
    enum Ruling {
        Settle,
        Void,
        SettleAndForfeit
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
        uint128 disputeBond; // wei, locked while a dispute is open
        uint8 disputeDefault; // the ruling of a silent arbiter: 0 settle, 1 void
        bool test; // true lifts the one-hour minimum of the windows
        uint8 mode; // 0 pairwise: payoffs follow from the contributions; 1 vector: the attester signs them
        bytes32 documentHash;
    }

    /// @notice One member's terms; `liability` is the most a round can take from it. In vector mode the record holds it
    /// in the offset's place, and `weight` and `offset` are zero.
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
        uint40 deadline; // end of the window: submission (Open), dispute (Recorded), ruling (Disputed)
        uint40 idleSince; // when the contract last returned to Idle; 0 before the first round
        uint120 participants;
        uint120 submitted;
        bytes32 roundHash;
        uint8 disputant; // who raised the dispute, in Disputed; else 0
        bool transfersSubmitted; // vector mode: the attester's transfers are in
    }

    /// @notice A member accepted these terms, with its first deposit.
    event Accepted(uint256 indexed index, address indexed member, bytes32 termsHash);

    /// @notice A member added `amount` wei to its bond, which is `balance` wei now.
    event Deposited(uint256 indexed index, address indexed member, uint256 amount, uint256 balance);

    /// @notice A member took `amount` wei out of its bond, which is `balance` wei now.
    event Withdrawn(uint256 indexed index, address indexed to, uint256 amount, uint256 balance);

    /// @notice A member takes part in no round that opens from now on.
    event ExitRequested(uint256 indexed index);

    /// @notice A member takes part again from the next round on.
    event ExitCancelled(uint256 indexed index);

    /// @notice A round opened for the members of the bitmap `participants`; contributions are taken up to `deadline`.
    event RoundOpened(uint256 indexed round, uint256 participants, uint256 deadline);

    /// @notice A member's contribution, with the attester's signature over it.
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

    /// @notice The contributions of the members of the bitmap `submitted` are final.
    event ProfileRecorded(uint256 indexed round, bytes32 profileHash, uint256 submitted);

    /// @notice The round ended without a settlement; `reason` is "quorum", "dispute" or "transfers" (in vector mode, when
    /// the attester signed none in time).
    event RoundVoided(uint256 indexed round, bytes32 reason);

    /// @notice Vector mode: the round's payoffs as the attester signed them, open to dispute up to `deadline`.
    event TransfersSubmitted(
        uint256 indexed round,
        bytes32 transfersHash,
        int256[] transfers,
        bytes32 evidenceHash,
        bytes attesterSignature,
        uint256 deadline
    );

    /// @notice A participant disputes the recorded round; the arbiter rules up to `deadline`.
    event DisputeRaised(
        uint256 indexed round,
        uint256 indexed index,
        address indexed member,
        bytes32 reasonHash,
        uint256 deadline
    );

    /// @notice The dispute is over; `forfeited` wei went from the disputant to the other contributors, in equal shares.
    event DisputeResolved(uint256 indexed round, uint256 indexed index, uint8 ruling, uint256 forfeited);

    /// @notice The participants of the bitmap `bitmap` have not contributed: the payoffs that follow charge them by their
    /// stand-ins. Where the terms have none, there is no such event.
    event Absent(uint256 indexed round, uint256 bitmap);

    /// @notice The round's payoffs in wei, one for every member; they sum to zero.
    event PayoffCalculated(uint256 indexed round, bytes32 payoffHash, int256[] payoffs);

    /// @notice The payoffs are in the balances; `ledger` is the hash over all profiles and payoffs so far.
    event PayoffTransferred(uint256 indexed round, bytes32 ledger);

    /// @notice Opens the next round, for all members that are solvent and not exiting. Only the attester may.
    function roundOpen() external;

    /// @notice Submits a member's attested contribution to the open round. From the middle of the submit window on
    /// anyone may submit it.
    /// @param index the member's place in the member list
    /// @param data real samples, at most the member's cap
    /// @param generated effective synthetic samples, at most the member's cap
    /// @param compute compute units, at most the member's cap
    /// @param evidenceHash digest of the evidence bundle that is kept off chain; not zero
    /// @param attesterSignature the attester's EIP-712 signature over `contributionDigest`: 65 bytes r, s, v with low
    /// s, or whatever the attester's wallet takes (EIP-1271)
    function contributionSubmit(
        uint256 index,
        uint64 data,
        uint64 generated,
        uint64 compute,
        bytes32 evidenceHash,
        bytes calldata attesterSignature
    ) external;

    /// @notice Freezes the contributions once all participants have contributed or the deadline is over, and starts the
    /// dispute window (in vector mode a submit window for the transfers). Below the quorum the round is voided instead.
    function profileRecord() external;

    /// @notice Vector mode: submits the payoffs that the attester signed for the recorded round, and starts the dispute
    /// window. Anyone may.
    /// @param transfers wei, one for every member, zero for whoever has not contributed; they sum to zero and take no
    /// more than its liability from anyone
    /// @param evidenceHash digest of the evidence that is kept off chain; not zero
    /// @param attesterSignature the attester's EIP-712 signature over `transfersDigest`
    function transfersSubmit(
        int256[] calldata transfers,
        bytes32 evidenceHash,
        bytes calldata attesterSignature
    ) external;

    /// @notice Disputes the recorded round within its window, once a round; locks the caller's dispute bond, beside its
    /// liability or, of an absent participant that pays by its stand-in, beside what it owes. In vector mode only once the
    /// transfers are in.
    /// @param index the caller's place in the member list; it must take part in the round
    /// @param reasonHash digest of the reason that is kept off chain; not zero
    function disputeRaise(uint256 index, bytes32 reasonHash) external;

    /// @notice Ends a dispute and with it the dispute window. Up to the deadline the arbiter rules as it sees fit; after
    /// it, anyone may bring about the terms' default.
    /// @param ruling 0 settle: the contributions stand; 1 void: the round ends without payoffs; 2 settle and forfeit:
    /// they stand, and the dispute bond goes to the other contributors in equal shares (what cannot be shared stays)
    function disputeResolve(uint8 ruling) external;

    /// @notice Computes the payoffs once the dispute window is over: a participant without a contribution pays every
    /// contributor what it would have owed with its stand-in, where the terms have one, and receives nothing. In vector
    /// mode they are the transfers submitted; without any the round is voided.
    function payoffCalculate() external;

    /// @notice Adds the payoffs to the balances and ends the round.
    function payoffTransfer() external;

    /// @notice Pays out of the caller's bond. While the caller takes part in a live round, its liability stays, and so does
    /// its dispute bond while its dispute is open.
    /// @param index the caller's place in the member list
    /// @param amount wei
    /// @param to who is paid
    function withdraw(uint256 index, uint256 amount, address payable to) external;

    /// @notice Keeps the caller out of the rounds that open from now on.
    /// @param index the caller's place in the member list
    function exitRequest(uint256 index) external;

    /// @notice Takes an exit request back.
    /// @param index the caller's place in the member list
    function exitCancel(uint256 index) external;

    /// @notice The scalar terms.
    function terms() external view returns (Terms memory);

    /// @notice keccak256(abi.encode(keccak256(records), keccak256(triangle), keccak256(standIns), terms)): no chain and no
    /// address in it, so that the parties can agree on it before there is a contract.
    function termsHash() external view returns (bytes32);

    /// @notice The account whose bytecode holds the members' records and the pair weights.
    function termsBlob() external view returns (address pointer);

    /// @notice The account whose bytecode holds the scores that stand in for absent members; zero if who is absent pays
    /// nothing.
    function standInsBlob() external view returns (address pointer);

    /// @notice Number of members, 2 to 120.
    function memberCount() external view returns (uint256);

    /// @notice The terms of the member at `index`.
    function member(uint256 index) external view returns (Member memory);

    /// @notice The weight of the pair of members `i` and `j`, 65535 = the largest; zero on the diagonal.
    function pairWeight(uint256 i, uint256 j) external view returns (uint16);

    /// @notice The round that is live, or the last one.
    function round() external view returns (Round memory);

    /// @notice Members who have accepted the terms.
    function accepted() external view returns (uint256 bitmap);

    /// @notice Members who have accepted the terms and whose balance covers their liability.
    function solvent() external view returns (uint256 bitmap);

    /// @notice Members who take no part in the rounds that open from now on.
    function exiting() external view returns (uint256 bitmap);

    /// @notice The bond of the member at `index`, wei.
    function balanceOf(uint256 index) external view returns (uint256);

    /// @notice What the round moves to (or from, if negative) the member at `index`, wei; zero but in Calculated.
    function payoffOf(uint256 index) external view returns (int256);

    /// @notice The contribution of the member at `index` to the round that is live, or the last one; zero if none.
    function contributionOf(uint256 index) external view returns (Contribution memory);

    /// @notice All bonds together, wei, below 2^127.
    function totalBalance() external view returns (uint256);

    /// @notice keccak256(abi.encode(previous, round, hash)) over the profile and payoff hashes of all rounds; it starts
    /// at zero.
    function ledger() external view returns (bytes32);

    /// @notice EIP-712 digest that the attester signs for a contribution to the current round.
    function contributionDigest(
        uint256 index,
        uint64 data,
        uint64 generated,
        uint64 compute,
        bytes32 evidenceHash
    ) external view returns (bytes32);

    /// @notice EIP-712 digest that the attester signs for the transfers of the current round, vector mode.
    /// @param transfersHash keccak256(abi.encode(transfers))
    function transfersDigest(bytes32 transfersHash, bytes32 evidenceHash) external view returns (bytes32);
}
