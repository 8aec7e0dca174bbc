//! Every format: what is printed reads back, what reads prints back, one byte changed is noticed,
//! and programs that others wrote agree.

#[cfg(test)]
mod formats {
    mod arbitrary;
    mod base_url;
    mod batch;
    mod cache_info;
    mod claim;
    mod content_address;
    mod debug_info;
    mod decide;
    mod decide_closure;
    mod enrolment;
    mod entry;
    mod evidence;
    mod export;
    mod guix_narinfo;
    mod guix_signature;
    mod hash;
    mod key;
    mod key_event;
    mod listing;
    mod mirror;
    mod multi_proof;
    mod mutation;
    mod name_pattern;
    mod narinfo;
    mod oracle;
    mod policy;
    mod quota;
    mod realisation;
    mod scan;
    mod store_path;
    mod subtree;
    mod tlog;
    mod tlog_oracle;
    mod tlog_trees;
    mod tree;
    mod vectors;
    mod verifiable_map;
}
