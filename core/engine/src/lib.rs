//! The Engine trait: who assigns positions and keeps history
