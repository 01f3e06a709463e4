//! What the test binaries share: corpus readers and the two callers (the live kernel and Skep).
