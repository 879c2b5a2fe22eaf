//! Where an instance's loop gets its frames from: the socket of a child, or the daemon's outbox itself.

use crate::link::{assembler::Assembler, outbox::Outbox};
use std::{
    io::{self, Read},
    ops::ControlFlow,
    os::unix::net::UnixStream,
    sync::Arc,
};

pub(crate) enum Inlet {
    Socket(UnixStream),
    Memory(Arc<Outbox>),
}

impl Inlet {
    /// Hands each frame over until the link closes, breaks, or `handle` has had enough.
    pub(crate) fn run(self, mut handle: impl FnMut(&[u8]) -> ControlFlow<()>) {
        let mut assembler = Assembler::default();
        let mut chunk = Vec::new();
        loop {
            match &self {
                Self::Socket(socket) => match (&*socket).read(assembler.space()) {
                    Ok(0) => return,
                    Ok(count) => assembler.filled(count),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(_) => return,
                },
                Self::Memory(outbox) => {
                    if !outbox.take_blocking(&mut chunk) {
                        return;
                    }
                    assembler.swap(&mut chunk);
                }
            }
            loop {
                match assembler.next() {
                    Ok(Some(frame)) => {
                        if handle(frame).is_break() {
                            return;
                        }
                    }
                    Ok(None) => break,
                    // The daemon is this same build: it does not send such a thing.
                    Err(_) => return,
                }
            }
        }
    }
}
