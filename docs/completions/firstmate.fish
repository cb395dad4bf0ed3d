complete -c firstmate -s r -l rewrite -d 'Forward signal TO instead of FROM, or nothing if TO is 0 or none' -r
complete -c firstmate -s t -l kill-after -d 'Send SIGKILL this long after the stop signal [default: never]' -r
complete -c firstmate -l stop-on -d 'Begin a stop when this signal arrives [default: INT, TERM]' -r
complete -c firstmate -l stop-delay -d 'Hold the first stop signal this long [default: 0s]' -r
complete -c firstmate -l stop-command -d 'Run this instead of sending the main command the stop signal' -r
complete -c firstmate -l drain -d 'How long the remaining processes get to exit [default: 5s]' -r
complete -c firstmate -l drain-signal -d 'What the drain asks the remaining processes with' -r
complete -c firstmate -l stop-timeout -d 'The engine\'s grace period, into which all of a stop fits' -r
complete -c firstmate -s s -l subreaper -d 'Become a child subreaper, to reap orphans [default: auto]' -r
complete -c firstmate -s p -l parent-death-signal -d 'The signal that firstmate gets when its own parent dies' -r
complete -c firstmate -l user -d 'Run the command as this user, with its groups' -r
complete -c firstmate -l before -d 'Run this to its end before the main command' -r
complete -c firstmate -l with -d 'Run this beside the main command' -r
complete -c firstmate -l after -d 'Run this when all others have exited' -r
complete -c firstmate -l exit-when -d 'Which exit ends the container [default: any]' -r
complete -c firstmate -s e -l remap-exit -d 'Exit 0 when the command\'s exit status is CODE' -r
complete -c firstmate -l termination-message -d 'Write to FILE why the container ended' -r
complete -c firstmate -l log-format -d 'Log lines to read, or a JSON object a line [default: text]' -r
complete -c firstmate -l install -d 'Run no command: copy this program to FILE' -r
complete -c firstmate -s g -l kill-process-group -d 'Forward signals to the main child\'s whole process group'
complete -c firstmate -s a -l all -d 'Send stop signals to every process in the container'
complete -c firstmate -s S -l new-session -d 'Run the command in its own session'
complete -c firstmate -l exit-on-oom -d 'Stop the container when the kernel OOM-kills a process'
complete -c firstmate -s v -l verbose -d 'Log more: -v each step, -vv each signal too'
complete -c firstmate -s q -l quiet -d 'Log less: -q only errors, -qq nothing'
complete -c firstmate -s w -l warn-on-reap -d 'Log a line for each orphan reaped'
complete -c firstmate -s P -l pause -d 'Run no command: hold the namespaces and reap until TERM or INT'
complete -c firstmate -l explain -d 'Print what is in force and from where'
complete -c firstmate -s h -l help -d 'Print help: -h a line for each option, --help all of it'
complete -c firstmate -s V -l version -d 'Print the version, and the commit that it was built from'
