/** `dmabuf-shim doctor`: whether this machine can run programs under the shim. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { Errno } from '../errno.js';
import { Kernel } from '../kernel.js';
import { native } from '../native.js';
import { UnsupportedMachineError } from '../supervisor/spawn.js';
import { defineCommand } from './command.js';

interface Finding {
  what: string;
  /** Without it programs cannot be run (`no`), or something is slower or missing (`weak`). */
  state: 'ok' | 'weak' | 'no';
  detail: string;
  remedy?: string;
}

export const doctor = defineCommand({
  name: 'doctor',
  usage: [''],
  about: `Tries what programs under "dmabuf-shim run" need. A line each: "ok"; "weak", which works with a drawback; or
"no", without which no program can be run; and below it what to do. The exit status is 0 if programs can be run,
1 if not.`,
  options: {},
  operands: 'none',
  async run() {
    const findings = [...inspect(), ...(await attempt())];
    process.stdout.write(findings.map(format).join(''));
    const able = findings.every(({ state }) => state !== 'no');
    process.stdout.write(
      able
        ? 'Programs can be run here: dmabuf-shim run -- PROGRAM\n'
        : `Programs cannot be run here. ${IN_PROCESS}\n`,
    );
    return able ? 0 : 1;
  },
});

const IN_PROCESS = 'Node programs can use kernel.sys, which needs none of this.';
const CONTAINER = `In a container, its seccomp profile may be the reason: docker run --security-opt seccomp=unconfined,
     or a profile that allows seccomp, process_vm_readv, process_vm_writev, pidfd_getfd and ptrace.`;
const NESTED =
  'What runs under a "dmabuf-shim run" sees its nodes already. Another such run has to be started outside of it.';

/** What `run` prints when the machine forbids it. */
export function explain(error: UnsupportedMachineError): string {
  if (error.errno === Errno.EBUSY) return `     ${NESTED}\n`;
  const bad = inspect().filter(({ state }) => state === 'no');
  const seen = bad.map(format).join('');
  return `${seen}     ${CONTAINER}\n     ${IN_PROCESS} "dmabuf-shim doctor" looks at all that programs need.\n`;
}

function format({ state, what, detail, remedy }: Finding): string {
  const line = `${state.padEnd(5)}${what}: ${detail}\n`;
  return remedy && state !== 'ok' ? `${line}     ${remedy}\n` : line;
}

/** What can be seen without starting anything. */
function inspect(): Finding[] {
  return [kernelRelease(), notification(), yama(), limits(), compiler()];
}

function kernelRelease(): Finding {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  const atLeast = (a: number, b: number) => major > a || (major === a && minor >= b);
  const what = 'kernel';
  const detail = `Linux ${release()}`;
  if (!atLeast(5, 14))
    return { what, state: 'no', detail, remedy: 'Linux 5.14 or later is needed.' };
  if (!atLeast(5, 19)) {
    const remedy = 'Before Linux 5.19 a signal may make a served call run twice.';
    return { what, state: 'weak', detail, remedy };
  }
  if (!atLeast(6, 6)) {
    return { what, state: 'weak', detail, remedy: 'From Linux 6.6 on calls are answered faster.' };
  }
  return { what, state: 'ok', detail };
}

function notification(): Finding {
  const what = 'seccomp user notification';
  const sizes = native.notifSizes();
  if (typeof sizes !== 'number') return { what, state: 'ok', detail: 'this kernel has it' };
  const remedy = 'It needs CONFIG_SECCOMP_FILTER, and a sandbox that does not forbid seccomp(2).';
  return { what, state: 'no', detail: `seccomp(2) fails with errno ${-sizes}`, remedy };
}

function yama(): Finding {
  const what = 'ptrace';
  const scope = setting('kernel/yama/ptrace_scope');
  if (scope === undefined) return { what, state: 'ok', detail: 'not restricted (no Yama)' };
  const detail = `kernel.yama.ptrace_scope is ${scope}`;
  if (scope < 2 || process.getuid?.() === 0) return { what, state: 'ok', detail };
  const remedy = 'sudo sysctl kernel.yama.ptrace_scope=1, or run as root.';
  return { what, state: 'no', detail, remedy };
}

/** A number of /proc/sys; undefined where there is none. */
function setting(name: string): number | undefined {
  try {
    return Number(readFileSync(`/proc/sys/${name}`, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Each live buffer takes an inotify watch, each sync_file a descriptor of the supervisor. */
function limits(): Finding {
  const watches = setting('fs/inotify/max_user_watches') ?? 0;
  const files = native.raiseNofile(2 ** 20);
  const what = 'limits';
  const detail = `at once there can be ${watches} buffers (fs.inotify.max_user_watches) and ${files} sync_files (ulimit -Hn)`;
  const remedy = 'Raise these if programs need more.';
  return { what, state: Math.min(watches, files) < 1000 ? 'weak' : 'ok', detail, remedy };
}

function compiler(): Finding {
  const what = 'C compiler';
  const found = ['cc', 'gcc', 'clang'].find(
    (name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0,
  );
  if (found) return { what, state: 'ok', detail: found };
  const remedy =
    'Programs run without it. It builds dmabuf-shim anew (Debian: apt install gcc libc6-dev make).';
  return { what, state: 'weak', detail: 'there is none', remedy };
}

/** Starts a program that looks for a node, and one that makes the supervisor use ptrace. */
async function attempt(): Promise<Finding[]> {
  using kernel = new Kernel();
  const findings: Finding[] = [];
  const tries: [what: string, script: string, remedy: string][] = [
    [
      'a program that looks for /dev/dma_heap/system',
      'test -c /dev/dma_heap/system',
      'process_vm_readv(2) or pidfd_getfd(2) is forbidden here (a container needs SYS_PTRACE).',
    ],
    [
      'a call made in the place of a program',
      'cd /dev/dma_heap && test -c system',
      'ptrace(2) is forbidden here: /dev/udmabuf cannot be mapped (a container needs SYS_PTRACE).',
    ],
  ];
  for (const [what, script, remedy] of tries) {
    try {
      const child = kernel.spawn('/bin/sh', ['-c', script], { stdio: 'ignore' });
      const status = await new Promise<number | null>((resolve, reject) => {
        child.on('exit', resolve);
        child.on('error', reject);
      });
      findings.push(
        status === 0
          ? { what, state: 'ok', detail: 'tried, it works' }
          : { what, state: 'no', detail: 'tried, it does not work', remedy },
      );
    } catch (error) {
      if (!(error instanceof UnsupportedMachineError)) throw error;
      const remedy = error.errno === Errno.EBUSY ? NESTED : CONTAINER;
      findings.push({ what, state: 'no', detail: error.message, remedy });
      break;
    }
  }
  return findings;
}
