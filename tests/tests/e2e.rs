//! End-to-end tests with real clients. One binary, because each links the database.

#[cfg(test)]
mod e2e {
    mod adversary;
    mod backup;
    mod bad_input;
    mod challenge;
    mod crash;
    mod fairness;
    mod faults;
    mod front;
    mod fsck;
    mod guix;
    mod ledger;
    mod memory;
    mod mirror;
    mod mirrors_listed;
    mod one_vote;
    mod policy_commands;
    mod proxy;
    mod published;
    mod retention;
    mod side_documents;
    mod smoke;
    mod stock_nix;
    mod trust;
    mod views;
}
