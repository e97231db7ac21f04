//! Wire types and limits of the HTTP interface, and its client.
