//! Manifest formats, the enrolment pipeline and its results.
