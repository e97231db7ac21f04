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
static HEAP_BLOCK: Bump = Bump { block: UnsafeCell::new([0; HEAP]), used: AtomicUsize::new(0) };

/// What the compiler calls by name, and what the precompiled `core` and `alloc` mention. Firmware
/// gets these from its own C library and target.
mod symbols {
    use super::{asm, exit};

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
        // SAFETY: the caller's promise: both regions hold `n` bytes and do not overlap. The
        // direction flag is clear at every call (AMD64 ABI §3.2.1).
        unsafe {
            asm!("rep movsb", inout("rcx") n => _, inout("rdi") to => _, inout("rsi") from => _,
                options(nostack, preserves_flags));
        }
        to
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
        if (to as usize).wrapping_sub(from as usize) >= n {
            // SAFETY: `to` is outside `from..from + n`, so ascending order reads each byte first.
            return unsafe { memcpy(to, from, n) };
        }
        // SAFETY: as above, in descending order; the flag is cleared again.
        unsafe {
            asm!("std", "rep movsb", "cld", inout("rcx") n => _,
                inout("rdi") to.wrapping_add(n).wrapping_sub(1) => _,
                inout("rsi") from.wrapping_add(n).wrapping_sub(1) => _, options(nostack));
        }
        to
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memset(to: *mut u8, byte: i32, n: usize) -> *mut u8 {
        // SAFETY: the caller's promise: the region holds `n` bytes.
        unsafe {
            asm!("rep stosb", inout("rcx") n => _, inout("rdi") to => _, in("al") byte as u8,
                options(nostack, preserves_flags));
        }
        to
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
        for i in 0..n {
            // SAFETY: the caller's promise: both regions hold `n` bytes.
            let (x, y) = unsafe { (a.add(i).read_volatile(), b.add(i).read_volatile()) };
            if x != y {
                return i32::from(x) - i32::from(y);
            }
        }
        0
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
        // SAFETY: the same promise.
        unsafe { memcmp(a, b, n) }
    }

    // The precompiled crates are made for unwinding; here a panic ends the program, so neither
    // is ever called.
    #[unsafe(no_mangle)]
    extern "C" fn rust_eh_personality() {
        exit(102)
    }

    #[unsafe(no_mangle)]
    extern "C" fn _Unwind_Resume() {
        exit(103)
    }
}
