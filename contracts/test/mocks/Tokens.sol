// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title A token as EIP-20 has it; the others below each break the standard in one way that is found in the wild
contract Token {
    mapping(address account => uint256 amount) public balanceOf;
    mapping(address account => mapping(address spender => uint256 amount)) public allowance;

    function mint(address account, uint256 amount) external {
        balanceOf[account] += amount;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function transfer(address to, uint256 amount) external virtual returns (bool) {
        move(msg.sender, to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external virtual returns (bool) {
        allowance[from][msg.sender] -= amount;
        move(from, to, amount);
        return true;
    }

    function move(address from, address to, uint256 amount) internal virtual {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// @title Returns nothing where a bool is due (USDT)
contract SilentToken is Token {
    function transfer(address to, uint256 amount) external override returns (bool) {
        move(msg.sender, to, amount);
        nothing();
    }

    function transferFrom(address from, address to, uint256 amount) external override returns (bool) {
        allowance[from][msg.sender] -= amount;
        move(from, to, amount);
        nothing();
    }

    function nothing() private pure {
        assembly ("memory-safe") {
            return(0, 0)
        }
    }
}

/// @title Keeps a fee of every transfer (STA, PAXG), or gives a bonus
contract FeeToken is Token {
    int256 private immutable FEE;

    constructor(int256 fee) {
        FEE = fee;
    }

    function move(address from, address to, uint256 amount) internal override {
        super.move(from, to, amount);
        balanceOf[to] = uint256(int256(balanceOf[to]) - FEE);
    }
}

/// @title Fails as it is told: not at all, by a revert, or by returning false (ZRX) with nothing moved
contract FailingToken is Token {
    enum Failure {
        None,
        Revert,
        False
    }

    Failure public failure;

    function set(Failure failure_) external {
        failure = failure_;
    }

    function transfer(address to, uint256 amount) external override returns (bool) {
        if (failure == Failure.False) return false;
        move(msg.sender, to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external override returns (bool) {
        if (failure == Failure.False) return false;
        allowance[from][msg.sender] -= amount;
        move(from, to, amount);
        return true;
    }

    function move(address from, address to, uint256 amount) internal override {
        if (failure == Failure.Revert) revert("paused");
        super.move(from, to, amount);
    }
}

/// @title Tells those who asked for it when they send or receive (ERC-777); who is told may refuse, or call back
contract HookedToken is Token {
    mapping(address account => bool told) public tellsSender;
    mapping(address account => bool told) public tellsReceiver;

    function register(address account, bool asSender, bool asReceiver) external {
        (tellsSender[account], tellsReceiver[account]) = (asSender, asReceiver);
    }

    function move(address from, address to, uint256 amount) internal override {
        if (tellsSender[from]) tell(from);
        super.move(from, to, amount);
        if (tellsReceiver[to]) tell(to);
    }

    function tell(address account) private {
        (bool success, ) = account.call("");
        require(success, "refused by the account");
    }
}
