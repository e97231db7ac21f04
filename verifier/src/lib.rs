//! Pure verification: presentation, evidence, time and policy in; Verified or Rejected out.
