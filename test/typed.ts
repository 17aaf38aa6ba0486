/** What a user types into an interactive shell, at a terminal. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Has a terminal for `argv[1:]`, whose input is ours: what is typed is there before it is asked for. */
const TERMINAL = `
import os, pty, select, sys
pid, master = pty.fork()
if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])
typed = sys.stdin.buffer.read()
while True:
    ready = select.select([master], [master] if typed else [], [])
    if ready[0]:
        try:
            if not os.read(master, 65536): break
        except OSError: break
    if ready[1]: typed = typed[os.write(master, typed[:256]):]
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

const SHELLS = {
  bash: { argv: ['bash', '--noprofile', '--norc', '-i'], setup: '' },
  zsh: {
    argv: ['zsh', '-f', '-i'],
    setup:
      "bindkey -e; autoload -Uz compinit; compinit -D -u; zstyle ':completion:*' insert-tab false; unsetopt beep",
  },
};

export const TAB = '\t';
/** Inserts all that would be offered (bash). */
export const ALL = '\x1b*';
const HOME = '\x01';

/** Behind what is typed: a word of its own where there is a space before it. */
const END = '@';

/**
 * The words that each line has become when it was typed, keys included, into a shell that has read `script` before. The
 * last is '' if the line has come to end with a space.
 */
export function typed(
  shell: keyof typeof SHELLS,
  script: string,
  lines: readonly string[],
  cwd: string,
): string[][] {
  const { argv, setup } = SHELLS[shell];
  // Line editing prints to the terminal; what there is to know goes into a file.
  const show = 'shown() { printf "%s\\0" "$@" >&3; printf "\\n" >&3; }; exec 3> shown';
  writeFileSync(join(cwd, 'script'), `${show}\n${script}`);
  const keys = lines.map((line) => `${line}${END}${HOME}shown \n`).join('');
  const { status, stderr } = spawnSync('python3', ['-c', TERMINAL, ...argv], {
    cwd,
    input: `${setup}\n. ./script\n${keys}exit 0\n`,
    encoding: 'utf8',
    env: { ...process.env, TERM: 'dumb', INPUTRC: '/dev/null', HISTFILE: '' },
  });
  if (status !== 0) throw new Error(`${shell} ended with ${status}: ${stderr}`);
  const shown = readFileSync(join(cwd, 'shown'), 'utf8').split('\n').slice(0, -1);
  return shown.map((line) => {
    const words = line.split('\0').slice(0, -1);
    return words.with(-1, (words.at(-1) ?? '').replace(RegExp(`${END}$`), ''));
  });
}
