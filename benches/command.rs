//! The command that the benchmark has the inits run: static, without a C library, with nothing to
//! start. So the times are the inits'.
//!
//! Its first argument says what it does. Descriptor 3 takes the time at each step, in nanoseconds
//! of CLOCK_MONOTONIC.
//!
//! Called with an option it is the barest init instead, which only shows how much of a time is the
//! kernel's.
#![no_std]
#![no_main]

use core::arch::{asm, global_asm};

#[cfg(target_arch = "x86_64")]
mod number {
    pub const WRITE: usize = 1;
    pub const SIGPROCMASK: usize = 14;
    pub const CLONE: usize = 56;
    pub const EXECVE: usize = 59;
    pub const EXIT: usize = 60;
    pub const WAIT4: usize = 61;
    pub const KILL: usize = 62;
    pub const SIGTIMEDWAIT: usize = 128;
    pub const CLOCK_GETTIME: usize = 228;
    pub const PPOLL: usize = 271;
}

#[cfg(target_arch = "aarch64")]
mod number {
    pub const WRITE: usize = 64;
    pub const PPOLL: usize = 73;
    pub const EXIT: usize = 93;
    pub const CLOCK_GETTIME: usize = 113;
    pub const KILL: usize = 129;
    pub const SIGPROCMASK: usize = 135;
    pub const SIGTIMEDWAIT: usize = 137;
    pub const CLONE: usize = 220;
    pub const EXECVE: usize = 221;
    pub const WAIT4: usize = 260;
}

const SIGCHLD: usize = 17;
const WNOHANG: usize = 1;
const CLONE_VM: usize = 0x100;
const CLONE_VFORK: usize = 0x4000;
const CLOCK_MONOTONIC: usize = 1;
static NO_SIGNAL: u64 = 0;
static EVERY_SIGNAL: u64 = u64::MAX;
static ALL_BUT_SIGCHLD: u64 = !(1 << (SIGCHLD - 1));

#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl _start",
    "_start: mov rdi, [rsp]",
    "lea rsi, [rsp + 8]",
    "and rsp, -16",
    "call main"
);

#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start: ldr x0, [sp]", "add x1, sp, 8", "bl main");

// Inlined: the child of a vfork would overwrite the frame that its parent returns to.
#[inline(always)]
fn call(number: usize, a: usize, b: usize, c: usize, d: usize) -> usize {
    let result;
    // SAFETY: the callers pass what the system call asks for.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") 0,
            lateout("rcx") _, lateout("r11") _
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a => result,
            in("x1") b, in("x2") c, in("x3") d, in("x4") 0
        );
    }
    result
}

fn exit(status: usize) -> ! {
    call(number::EXIT, status, 0, 0, 0);
    loop {}
}

fn sleep() -> ! {
    loop {
        call(number::PPOLL, 0, 0, 0, 0);
    }
}

fn tell() {
    let mut time = [0_u64; 2];
    call(number::CLOCK_GETTIME, CLOCK_MONOTONIC, (&raw mut time) as usize, 0, 0);
    let nanoseconds = time[0] * 1_000_000_000 + time[1];
    call(number::WRITE, 3, (&raw const nanoseconds) as usize, 8, 0);
}

fn set_mask(mask: &'static u64) {
    const SIG_SETMASK: usize = 2;
    call(number::SIGPROCMASK, SIG_SETMASK, (&raw const *mask) as usize, 0, 8);
}

fn wait_for_signal() {
    call(number::SIGTIMEDWAIT, (&raw const ALL_BUT_SIGCHLD) as usize, 0, 0, 8);
}

/// Twice fork: the second child is an orphan once the first has ended.
fn orphan(then: fn() -> !) {
    let middle = call(number::CLONE, SIGCHLD, 0, 0, 0);
    if middle == 0 {
        if call(number::CLONE, SIGCHLD, 0, 0, 0) == 0 {
            then();
        }
        exit(0);
    }
    call(number::WAIT4, middle, 0, 0, 0);
}

/// Starts the command, sends it each signal, reaps what there is, and ends as it does.
fn be_init(program: usize, arguments: usize, environment: usize) -> ! {
    set_mask(&EVERY_SIGNAL);
    let command = call(number::CLONE, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0);
    if command == 0 {
        set_mask(&NO_SIGNAL);
        call(number::EXECVE, program, arguments, environment, 0);
        exit(127);
    }
    loop {
        let signal = call(number::SIGTIMEDWAIT, (&raw const EVERY_SIGNAL) as usize, 0, 0, 8);
        if signal != SIGCHLD {
            call(number::KILL, command, signal, 0, 0);
        }
        let mut status = 0_u32;
        while let reaped @ 1.. =
            call(number::WAIT4, usize::MAX, (&raw mut status) as usize, WNOHANG, 0).cast_signed()
        {
            if reaped.cast_unsigned() == command {
                let [signal, exit_status, ..] = status.to_le_bytes();
                exit(usize::from(if signal == 0 { exit_status } else { 128 + signal }));
            }
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn main(count: usize, arguments: *const *const u8) -> ! {
    // SAFETY: this is the stack that execve(2) has made.
    let letter = |argument: usize| {
        if argument < count { unsafe { **arguments.add(argument) } } else { b'e' }
    };
    // SAFETY: as above; each argument ends with a null.
    let number = |argument: usize| unsafe {
        let (mut at, mut sum) = (*arguments.add(argument), 0);
        while *at != 0 {
            sum = sum * 10 + usize::from(*at - b'0');
            at = at.add(1);
        }
        sum
    };
    match letter(1) {
        // [OPTION]... -- COMMAND [ARGUMENT]...
        b'-' => {
            // SAFETY: as above; the environment follows the arguments and their null.
            let (first, environment) = unsafe {
                let mut at = 1;
                while !matches!(
                    [
                        **arguments.add(at),
                        *(*arguments.add(at)).add(1),
                        *(*arguments.add(at)).add(2)
                    ],
                    [b'-', b'-', 0]
                ) {
                    at += 1;
                }
                (arguments.add(at + 1), arguments.add(count + 1))
            };
            // SAFETY: as above.
            be_init(unsafe { *first } as usize, first as usize, environment as usize);
        }
        // exit
        b'e' => {
            tell();
            exit(0);
        }
        // pause
        b'p' => {
            tell();
            sleep();
        }
        // signals
        b's' => {
            set_mask(&EVERY_SIGNAL);
            loop {
                tell();
                wait_for_signal();
            }
        }
        // orphans LIVING DYING: the second number of them after a signal
        _ => {
            set_mask(&EVERY_SIGNAL);
            (0..number(2)).for_each(|_| orphan(|| sleep()));
            tell();
            wait_for_signal();
            tell();
            (0..number(3)).for_each(|_| orphan(|| exit(0)));
            tell();
            sleep();
        }
    }
}

#[panic_handler]
fn never(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(255)
}
