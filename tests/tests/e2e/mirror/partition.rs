//! Three pools on hosts of their own, cut off from each other at random.
