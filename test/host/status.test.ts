/** Who calls: what a driver gets to know of a program, as /proc/TID/status has it. */
import { describe, expect, test } from 'vitest';
import { pendingSignal, Status } from '../../src/host/status.js';
import {
  CAP_SYS_ADMIN,
  type Credentials,
  type Kernel,
  miscRegister,
  O_RDWR,
  type Process,
} from '../../src/index.js';
import { run, testKernel } from '../run.js';

const SIGUSR1 = 1n << 9n;

/** /proc/TID/status of a thread of several, with two signals for the process and none blocked but what is said. */
const status = (blocked: bigint, threads = 3) =>
  new Status(
    [
      'Name:\tUid:\t7',
      'Tgid:\t4711',
      'NSpid:\t4712\t12',
      'TracerPid:\t0',
      'Uid:\t1000\t0\t1001\t1002',
      'Groups:\t4 24 27 ',
      `Threads:\t${threads}`,
      'SigPnd:\t0000000000000000',
      'ShdPnd:\t0000000000000200',
      `SigBlk:\t${blocked.toString(16)}`,
      'SigCgt:\t0000000000000200',
      'CapEff:\t000001ffffffffff',
      '',
    ].join('\n'),
  );

describe('the text of a status', () => {
  test('gives numbers, lists and sets; a name that looks like a field is none', () => {
    const read = status(0n);
    expect([read.number('Tgid'), read.number('TracerPid')]).toEqual([4711, 0]);
    expect(read.numbers('NSpid')).toEqual([4712, 12]);
    expect(read.numbers('Uid')).toEqual([1000, 0, 1001, 1002]);
    expect(read.numbers('Groups')).toEqual([4, 24, 27]);
    expect(read.mask('CapEff')).toBe(0x1ffffffffffn);
  });

  test('what is not there is 0', () => {
    const gone = new Status('');
    expect([gone.exists, gone.number('Tgid'), gone.numbers('Uid'), gone.mask('CapEff')]).toEqual([
      false,
      0,
      [],
      0n,
    ]);
  });

  test('a signal is pending unless the thread blocks it, or the call’s mask does in its place', () => {
    const caught = { pid: 4711, caught: true };
    expect(pendingSignal(status(0n))).toEqual({ ...caught, masked: false, anyones: true });
    expect(pendingSignal(status(0n, 1))).toEqual({ ...caught, masked: false, anyones: false });
    expect(pendingSignal(status(SIGUSR1))).toBeUndefined();
    expect(pendingSignal(status(0n), SIGUSR1)).toBeUndefined();
    expect(pendingSignal(status(SIGUSR1), 0n)).toMatchObject({ masked: true });
  });
});

interface Caller {
  credentials: Credentials;
  process: Process;
  admin: boolean;
}

/** A kernel with a device that notes who calls. */
function noting(): { kernel: Kernel; callers: Caller[] } {
  const kernel = testKernel();
  const callers: Caller[] = [];
  miscRegister(kernel, 'who', {
    ioctl(_file, _request, _arg, task) {
      const { credentials, process } = task;
      callers.push({ credentials, process, admin: task.capable(CAP_SYS_ADMIN) });
      return 0;
    },
  });
  return { kernel, callers };
}

const python = (kernel: Kernel, ...lines: string[]) =>
  run(kernel, 'python3', [
    '-c',
    ['import ctypes, fcntl, os', 'f = open("/dev/who")', ...lines].join('\n'),
  ]);

describe('the caller', () => {
  test('of kernel.sys is this process', () => {
    const { kernel, callers } = noting();
    const fd = kernel.sys.open('/dev/who', O_RDWR);
    kernel.sys.ioctl(fd, 1);
    kernel.sys.close(fd);
    const [caller] = callers as [Caller];
    expect(caller.credentials).toMatchObject({
      uid: process.getuid?.(),
      euid: process.geteuid?.(),
      gid: process.getgid?.(),
    });
    expect(caller.process.pid).toBe(process.pid);
    expect(caller.process.startTime).toBeGreaterThan(0);
  });

  test('is who it is at the moment of the call: a user id that was dropped is dropped', async ({
    skip,
  }) => {
    if (process.getuid?.() !== 0) skip('only root can change its user id');
    const { kernel, callers } = noting();
    const { status, stderr } = await python(
      kernel,
      'fcntl.ioctl(f, 1)',
      'os.setgroups([7, 8]); os.setresgid(5, 6, 5); os.setresuid(1000, 1001, 1002)',
      'fcntl.ioctl(f, 1)',
    );
    expect([status, stderr]).toEqual([0, '']);
    const [before, after] = callers as [Caller, Caller];
    expect(before.credentials).toMatchObject({ uid: 0, euid: 0, fsuid: 0 });
    expect(after.credentials).toMatchObject({
      ...{ uid: 1000, euid: 1001, suid: 1002, fsuid: 1001 },
      ...{ gid: 5, egid: 6, sgid: 5, fsgid: 6 },
      groups: [7, 8],
      effective: 0n,
    });
    expect(after.admin).toBe(false);
  });

  test('may open a node by what it is then: each of its threads, and by the id for files', async ({
    skip,
  }) => {
    if (process.getuid?.() !== 0) skip('only root can change its user id');
    const { kernel } = noting();
    const SYS = { x64: [117, 122], arm64: [147, 151] }[process.arch as 'x64' | 'arm64'];
    const { status, stdout, stderr } = await python(
      kernel,
      'import threading',
      'libc = ctypes.CDLL(None)',
      // glibc's own would change all threads.
      `setresuid = lambda *ids: libc.syscall(${SYS[0]}, *ids)`,
      `setfsuid = lambda id: libc.syscall(${SYS[1]}, id)`,
      'def ask(what):',
      '  try: open("/dev/who").close(); print(what, "opens")',
      '  except PermissionError: print(what, "EACCES")',
      'def drops():',
      '  setresuid(65534, 65534, 0); ask("thread that is nobody")',
      '  go.set(); done.wait()',
      '  ask("the same"); setresuid(0, 0, 0); ask("thread that is root again")',
      'go, done = threading.Event(), threading.Event()',
      'ask("root")',
      't = threading.Thread(target=drops); t.start(); go.wait()',
      'ask("root beside it")',
      'done.set(); t.join()',
      'setfsuid(65534); ask("fsuid of nobody"); setfsuid(0); ask("fsuid of root")',
      'os.setresuid(0, 65534, 0); ask("euid of nobody"); os.seteuid(0); ask("root again")',
    );
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout.split('\n')).toEqual([
      'root opens',
      'thread that is nobody EACCES',
      'root beside it opens',
      'the same EACCES',
      'thread that is root again opens',
      'fsuid of nobody EACCES',
      'fsuid of root opens',
      'euid of nobody EACCES',
      'root again opens',
      '',
    ]);
  });

  test('may open what its groups may, and what its capabilities give it', async ({ skip }) => {
    if (process.getuid?.() !== 0) skip('only root can change its groups');
    const { kernel } = noting();
    const { status, stdout, stderr } = await python(
      kernel,
      'os.chmod("/dev/who", 0o060); os.chown("/dev/who", 1, 4711)',
      'def ask(what):',
      '  try: os.close(os.open("/dev/who", os.O_RDWR)); print(what, "opens")',
      '  except PermissionError: print(what, "EACCES")',
      'ask("root")',
      'os.setgroups([7]); os.setegid(4711); os.seteuid(2); ask("group")',
      'os.seteuid(0); os.setegid(0); os.seteuid(2); ask("no group")',
      'os.seteuid(0); os.setgroups([7, 4711]); os.seteuid(2); ask("supplementary group")',
      'os.seteuid(0); os.setgroups([*range(5000, 6500), 4711]); os.seteuid(2); ask("one of many")',
      'os.seteuid(0); os.setgroups([4711]); os.seteuid(1); ask("owner, who counts first")',
    );
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout.split('\n')).toEqual([
      'root opens',
      'group opens',
      'no group EACCES',
      'supplementary group opens',
      'one of many opens',
      'owner, who counts first EACCES',
      '',
    ]);
  });

  test('its process is the same for its threads and over exec, and another for its child', async () => {
    const { kernel, callers } = noting();
    const { status } = await python(
      kernel,
      'import threading',
      'ask = lambda: fcntl.ioctl(f, 1)',
      'ask()',
      't = threading.Thread(target=ask); t.start(); t.join()',
      'pid = os.fork()',
      'if pid == 0: ask(); os._exit(0)',
      'os.waitpid(pid, 0)',
      'os.set_inheritable(f.fileno(), True)',
      'os.execvp("python3", ["python3", "-c", f"import fcntl; fcntl.ioctl({f.fileno()}, 1)"])',
    );
    expect(status).toBe(0);
    const [first, thread, child, exec] = callers.map(({ process }) => process.key);
    expect(callers).toHaveLength(4);
    expect([thread, exec]).toEqual([first, first]);
    expect(child).not.toBe(first);
  });

  test('with all capabilities in a user namespace of its own is capable of nothing', async ({
    skip,
  }) => {
    const { kernel, callers } = noting();
    const { stdout } = await python(
      kernel,
      'libc = ctypes.CDLL(None)',
      'print(libc.unshare(0x10000000))',
      'fcntl.ioctl(f, 1)',
    );
    if (stdout !== '0\n') skip('this machine lets nobody make a user namespace');
    const [caller] = callers as [Caller];
    expect(caller.credentials.effective).not.toBe(0n);
    expect(caller.admin).toBe(false);
  });
});
