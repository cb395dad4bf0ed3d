//! Taking abilities away from this process and all that it becomes.

pub fn lose_capability(capability: i32) {
    let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

pub fn securebits(bits: i32) {
    assert_eq!(
        unsafe { libc::prctl(libc::PR_SET_SECUREBITS, bits, 0, 0, 0) },
        0,
        "{}",
        std::io::Error::last_os_error()
    );
}

/// A seccomp filter for one system call.
pub fn refuse(syscall: i32, argument: i32, error: i32) {
    // Where a `seccomp_data` holds the number, and the low half of the first argument.
    const NUMBER: u32 = 0;
    const ARGUMENT: u32 = 16;
    let load = |from| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, from);
    let unless = |value: i32, skip| libc::sock_filter {
        jf: skip,
        ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, u32::try_from(value).unwrap())
    };
    let end = |with| statement(libc::BPF_RET | libc::BPF_K, with);
    let refusal = end(libc::SECCOMP_RET_ERRNO | u32::try_from(error).unwrap());
    let allowance = end(libc::SECCOMP_RET_ALLOW);
    let mut filter = if argument < 0 {
        vec![load(NUMBER), unless(syscall, 1), refusal, allowance]
    } else {
        vec![
            load(NUMBER),
            unless(syscall, 3),
            load(ARGUMENT),
            unless(argument, 1),
            refusal,
            allowance,
        ]
    };
    let program =
        libc::sock_fprog { len: u16::try_from(filter.len()).unwrap(), filter: filter.as_mut_ptr() };
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let result =
            libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program);
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    }
}

fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).unwrap(), jt: 0, jf: 0, k }
}
