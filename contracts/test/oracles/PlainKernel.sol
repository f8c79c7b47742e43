// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The redistribution in plain checked Solidity, written from the formulas alone
/// @dev The oracle of the tests. It computes every ordered pair and shares no code with the contract's kernel.
library PlainKernel {
    int256 private constant SCALE = 65535e36;

    /// @notice R_i = Σ_j trunc(k_ij · (gammaWad · X_i − gammaWad · X_j) / (65535 · 1e36)) over contributors.
    function transfers(
        uint256 gammaWad,
        uint16[][] memory weights,
        int256[] memory scores,
        bool[] memory contributed
    ) internal pure returns (int256[] memory payoffs) {
        uint256 count = scores.length;
        payoffs = new int256[](count);
        for (uint256 i; i < count; ++i) {
            for (uint256 j; j < count; ++j) {
                if (i == j || !contributed[i] || !contributed[j]) continue;
                payoffs[i] += (int256(uint256(weights[i][j])) * (int256(gammaWad) * (scores[i] - scores[j]))) / SCALE;
            }
        }
    }

    /// @notice Adds to `payoffs` what every absent member owes every contributor: the positive part of what its stand-in
    /// would have, were the two alone.
    function charge(
        uint256 gammaWad,
        uint16[][] memory weights,
        int256[] memory scores,
        bool[] memory contributed,
        bool[] memory absent,
        int256[] memory standIns,
        int256[] memory payoffs
    ) internal pure {
        for (uint256 a; a < scores.length; ++a) {
            for (uint256 m; m < scores.length; ++m) {
                if (!absent[a] || !contributed[m]) continue;
                int256 owed = (int256(uint256(weights[m][a])) * (int256(gammaWad) * (scores[m] - standIns[a]))) / SCALE;
                if (owed <= 0) continue;
                payoffs[a] -= owed;
                payoffs[m] += owed;
            }
        }
    }

    /// @notice L_i = Σ_j max(0, trunc(gammaWad · k_ij · (largest_j − offset_i) / (65535 · 1e36))).
    function liabilities(
        uint256 gammaWad,
        uint16[][] memory weights,
        int256[] memory largest,
        int256[] memory offsets
    ) internal pure returns (uint256[] memory worst) {
        uint256 count = largest.length;
        worst = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            for (uint256 j; j < count; ++j) {
                if (i == j) continue;
                int256 owed = (int256(uint256(weights[i][j])) * (int256(gammaWad) * (largest[j] - offsets[i]))) / SCALE;
                if (owed > 0) worst[i] += uint256(owed);
            }
        }
    }

    /// @notice X = offset + trunc(S · weight / 1e9), S = data · 1e18 + generatedWeightWad · generated + lambdaWad · compute.
    function score(
        uint256[3] memory amounts,
        uint256[2] memory rates,
        uint256 weight,
        int256 offset
    ) internal pure returns (int256) {
        uint256 quantity = amounts[0] * 1e18 + rates[0] * amounts[1] + rates[1] * amounts[2];
        return offset + int256((quantity * weight) / 1e9);
    }

    /// @notice Upper triangle of a symmetric matrix, row by row, 16 bits each.
    function pack(uint16[][] memory weights) internal pure returns (bytes memory triangle) {
        uint256 count = weights.length;
        triangle = new bytes(count * (count - 1));
        uint256 next;
        for (uint256 i; i < count; ++i) {
            for (uint256 j = i + 1; j < count; ++j) {
                triangle[next++] = bytes1(uint8(weights[i][j] >> 8));
                triangle[next++] = bytes1(uint8(weights[i][j]));
            }
        }
    }
}
