//! [`SkepJudge`]: programs under Skep's verifier and interpreter.
