//! The client verbs of the headwater command
