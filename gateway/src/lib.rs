//! Follower, evidence cache, tower layer and sidecar: Muster in front of a service.
