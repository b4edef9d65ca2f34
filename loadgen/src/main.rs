//! Measures how many WebSocket connections a push server holds, and what breaks first.

fn main() {}
