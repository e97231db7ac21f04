//! What an operating system or a runtime otherwise brings: entry, exit, memory. The only part
//! of the project's device side with `unsafe`, and none of it reaches a device: firmware has
//! its own.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicUsize, Ordering};

// The kernel enters with the stack aligned to 16 bytes and no return address; a call makes of
// that what the System V ABI (AMD64 §3.2.2) promises to a function.
global_asm!(".globl _start", "_start:", "xor ebp, ebp", "call {entry}", "ud2", entry = sym entry);

extern "C" fn entry() -> ! {
    exit(crate::run())
}

/// System call 60 of x86-64 Linux.
fn exit(status: u8) -> ! {
    // SAFETY: `exit` takes one integer and does not come back.
    unsafe { asm!("syscall", in("rax") 60, in("rdi") u64::from(status), options(noreturn)) }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(101)
}

const HEAP: usize = 256 * 1024;

/// Hands out memory from one block and takes nothing back: enough for a few messages.
struct Bump {
    block: UnsafeCell<[u8; HEAP]>,
    used: AtomicUsize,
}

// SAFETY: `used` is atomic, and no byte of the block is handed out twice.
unsafe impl Sync for Bump {}

// SAFETY: `alloc` returns null or a pointer to `layout.size()` bytes of the block that is aligned
// as asked and was not handed out before, since `used` only grows.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = self.block.get().cast::<u8>();
        let mut start = 0;
        let claimed = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            let padding = (base as usize + used).wrapping_neg() & (layout.align() - 1);
            start = used + padding;
            start.checked_add(layout.size()).filter(|end| *end <= HEAP)
        });
        match claimed {
            // SAFETY: `start + size` is within the block.
            Ok(_) => unsafe { base.add(start) },
            Err(_) => core::ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static HEAP_BLOCK: Bump =
    Bump { block: UnsafeCell::new([0; HEAP]), used: AtomicUsize::new(0) };

/// The compiler calls `memcpy` and its kin; firmware gets them from its own C library, this
/// program from the host's, linked statically and for nothing else.
#[link(name = "c", kind = "static", modifiers = "-bundle")]
unsafe extern "C" {}
