/** Files that a driver reads and writes, however it was registered, and the numbers of their descriptors. */
import { once } from 'node:events';
import { beforeEach, describe, expect, test } from 'vitest';
import {
  copyFromIter,
  errno,
  type FileOperations,
  type Kernel,
  miscRegister,
  WaitQueue,
} from '../../src/index.js';
import { LINKAGES, needsCompiler, program } from '../programs.js';
import { expectNothingLeft, type RunOptions, run, testKernel } from '../run.js';

const [POLLIN, POLLOUT, MISC_MAJOR] = [1, 4, 10];

/** What is written to it can be read. */
function mailbox(): FileOperations {
  let letters = new Uint8Array();
  const queue = new WaitQueue();
  return {
    read(_file, segments, task) {
      let taken = 0;
      for (const { address, length } of segments) {
        const piece = letters.subarray(taken, taken + length);
        task.mm.write(address, piece);
        taken += piece.length;
      }
      letters = letters.slice(taken);
      return taken;
    },
    write(_file, segments, task) {
      const pieces = segments.map(({ address, length }) => {
        const piece = new Uint8Array(length);
        task.mm.read(address, piece);
        return piece;
      });
      letters = Buffer.concat([letters, ...pieces]);
      queue.wakeUp();
      return pieces.reduce((sum, { length }) => sum + length, 0);
    },
    poll: () => POLLOUT | (letters.length > 0 ? POLLIN : 0),
    pollSources: () => [queue],
  };
}

/** A device with an attribute `level`, which takes numbers. */
function addLevels(kernel: Kernel, name: string, f_op: FileOperations = {}): void {
  let level = '0';
  const store = (text: string) => {
    if (!/^\d+\n?$/.test(text)) throw errno('EINVAL');
    level = text.trim();
  };
  const minor = kernel.charDevices.miscMinor();
  const attributes = { level: { show: () => `${level}\n`, store } };
  const device = {
    name,
    className: 'misc',
    major: MISC_MAJOR,
    minor,
    mode: 0o600,
    f_op,
    attributes,
  };
  kernel.addCharDevice(device);
}

const WAYS = {
  /** Both of one device. */
  addCharDevice: (kernel: Kernel) => addLevels(kernel, 'mailbox', mailbox()),
  miscRegister(kernel: Kernel) {
    miscRegister(kernel, 'mailbox', mailbox());
    addLevels(kernel, 'levels');
  },
};
const LEVEL = { addCharDevice: 'mailbox', miscRegister: 'levels' };
type Way = keyof typeof WAYS;

const moved = (who: string) => [
  `${who}: write -> 5`,
  `${who}: read -> 5`,
  `${who}: hello`,
  `${who}: writev -> 5`,
  `${who}: readv -> 5`,
];

const LINES = [
  'others as ever: 1',
  ...moved('opened'),
  'pread -> -1 ESPIPE',
  'poll of nothing -> 0',
  'write -> 1',
  'poll -> 1',
  'select -> 1',
  'read -> 1',
  'all different: 1',
  'from 20 on: 1',
  'close-on-exec: 0 1',
  ...['dup', 'F_DUPFD', 'F_DUPFD_CLOEXEC', 'standard input'].flatMap(moved),
  'dup2 to 12: 12',
  'store -> 1',
  'store of nonsense -> -1 EINVAL',
  'show -> 2',
  '7',
];

describe.each(LINKAGES)('a program (%s)', (linkage) => {
  beforeEach(needsCompiler);

  test.each(
    (Object.keys(WAYS) as Way[]).flatMap((way) => [false, true].map((exact) => ({ way, exact }))),
  )(
    'reads, writes and waits for what a driver registered: $way, exact $exact',
    async ({ way, exact }) => {
      const kernel = testKernel();
      WAYS[way](kernel);
      const attribute = `/sys/class/misc/${LEVEL[way]}/level`;
      const client = program('transfers', linkage);
      const ended = await run(kernel, client, ['/dev/mailbox', attribute], { exact });
      expect(ended.stdout.trimEnd().split('\n')).toEqual(LINES);
      const said = kernel.dmesg().filter((line) => line.includes('as descriptor 12'));
      expect(said).toHaveLength(exact ? 0 : 1);
      await expectNothingLeft(kernel);
    },
  );
});

describe.each([false, true])('between a driver’s file and others, exact %s', (exact) => {
  beforeEach(needsCompiler);

  test('nothing is spliced, as on Linux, and the driver is not asked', async () => {
    const kernel = testKernel();
    const asked: string[] = [];
    miscRegister(kernel, 'mailbox', {
      ...mailbox(),
      read: () => asked.push('read'),
      write: () => asked.push('write'),
    });
    const { stdout } = await run(kernel, program('transfers'), ['/dev/mailbox'], { exact });
    const lines = stdout.trimEnd().split('\n');
    expect(lines.map((line) => line.replace('/dev/mailbox: ', ''))).toEqual([
      'splice to a pipe -> -1 EINVAL',
      'splice from a pipe -> -1 EINVAL',
      'splice from an offset of a pipe -> -1 ESPIPE',
      'splice from the wrong end -> -1 EBADF',
      'splice to what is closed -> -1 EBADF',
      'splice of nothing -> 0',
      'splice with other flags -> -1 EINVAL',
      'sendfile to a pipe -> -1 EINVAL',
      'sendfile from memory -> -1 EINVAL',
      'sendfile of nothing -> 0',
      'sendfile from what is closed -> -1 EBADF',
      'copy_file_range to memory -> -1 EINVAL',
      'copy_file_range from memory -> -1 EINVAL',
      'copy_file_range from what is closed -> -1 EBADF',
      'tee -> -1 EINVAL',
      'vmsplice -> -1 EBADF',
    ]);
    expect(asked).toEqual([]);
  });
});

/** The first words, each on a line, that a shell prints. */
const shell = (kernel: Kernel, script: string, options?: RunOptions) =>
  run(kernel, 'sh', ['-c', script], options);

describe('a shell', () => {
  test('redirects input and output to and from what drivers serve', async () => {
    const kernel = testKernel();
    addLevels(kernel, 'mailbox', mailbox());
    const script = `cd /dev; echo one >mailbox; cat <mailbox
      exec 5<>mailbox; echo two >&5; read line <&5; echo $line
      cd /sys/class/misc/mailbox; echo 42 >level; cat level; echo never >level || echo refused`;
    const { stdout } = await shell(kernel, script);
    expect(stdout).toBe('one\ntwo\n42\nrefused\n');
    expect(kernel.dmesg().join('\n')).not.toContain('not served');
  });

  test('gets the lowest descriptors where it may have no others, and the log says what follows', async () => {
    const kernel = testKernel();
    miscRegister(kernel, 'mailbox', mailbox());
    const { stdout } = await shell(
      kernel,
      'ulimit -n 100; exec 3<>/dev/mailbox; readlink /proc/self/fd/3',
    );
    expect(stdout).toBe('/dev/mailbox\n');
    expect(kernel.dmesg().join('\n')).toContain(
      'no descriptor left from 768 on, or RLIMIT_NOFILE leaves none',
    );
  });

  test('that was started before there was such a device is told of in the log, others read it', async () => {
    const kernel = testKernel();
    const early = kernel.spawn('sh', ['-c', 'read go; exec 3<>/dev/mailbox; echo opened']);
    miscRegister(kernel, 'mailbox', mailbox());
    early.stdin?.end('go\n');
    await once(early, 'exit');
    const log = kernel.dmesg().join('\n');
    expect(log).toMatch(/process \d+ is not served when it calls read of \/dev\/mailbox/);
    const { stdout } = await shell(kernel, 'exec 3<>/dev/mailbox; echo hello >&3; head -c 6 <&3');
    expect(stdout).toBe('hello\n');
  });

  test('pays nothing on its standard output for what is seldom written, and what it redirects there arrives', async () => {
    const kernel = testKernel();
    const stored: string[] = [];
    miscRegister(kernel, 'rare', {
      seldom: true,
      write(_file, segments, task) {
        const text = Buffer.from(copyFromIter(task.mm, segments, 4096)).toString();
        if (text === 'never\n') throw errno('EINVAL');
        stored.push(text);
        return text.length;
      },
    });
    const script = `echo a word >/dev/rare; (echo more; echo than one) >/dev/rare
      echo never >/dev/rare && stat -c %n /dev/rare; exec 3<>/dev/rare; echo done`;
    const { stdout } = await shell(kernel, script);
    expect(stdout).toBe('/dev/rare\ndone\n');
    expect(stored).toEqual(['a word\n', 'more\n', 'than one\n']);
    const log = kernel.dmesg().join('\n');
    expect(log).toContain('"never\\n" written to /dev/rare: EINVAL');
    expect(log).toContain('not served when it reads or writes /dev/rare as descriptor 3');
    // Who is to hear of it runs with `exact`.
    const exact = await shell(kernel, 'echo never 2>&- >/dev/rare || echo refused', {
      exact: true,
    });
    expect(exact.stdout).toBe('refused\n');
  });
});
