import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { check, type InjectedCall, native } from '../../src/native.js';
import {
  compile,
  MAGIC,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_PRIVATE,
  MAP_SHARED,
  O_CLOEXEC,
  PROT_READ,
  PROT_WRITE,
  SOCK_STREAM,
  Supervised,
  WAIT_KILLABLE_RECV,
} from './supervised.js';

const EPERM = 1;
const ESRCH = 3;
const ENOMEM = 12;
const EACCES = 13;
const ECANCELED = 125;
const PAGE = 4096;
const LENGTH = 4 * PAGE;
const shared = MAP_SHARED + MAGIC * 2 ** 32;
const { SYS } = native;

let mapper: string;
/** What the program maps: a socket, which cannot be mapped by itself. */
let device: [number, number];
/** Its pages lie in two memfds, in turns: A and C in the one, B and D in the other. */
let memfds: [number, number];

beforeAll(() => {
  mapper = compile('mapper');
  device = check('socketpair', native.socketpair(SOCK_STREAM));
  const make = (first: number) => {
    const fd = check('memfd_create', native.memfdCreate('pieces', 0));
    check('ftruncate', native.ftruncate(fd, 2 * PAGE));
    for (const page of [0, 1]) {
      native.lseek(fd, page * PAGE, 0);
      native.write(fd, Uint8Array.of(first + 2 * page));
    }
    return fd;
  };
  memfds = [make(0x41), make(0x42)];
});

function sysNumber(name: string): number {
  const number = SYS[name];
  if (number === undefined) throw new Error(name);
  return number;
}

/** Reserve, one mapping a page, close the two descriptors, take it all back upon failure. */
function pieces(fds: number[], prot: number, firstFd = fds[0] as number): InjectedCall[] {
  const mmap = sysNumber('mmap');
  const page = (i: number, fd: number) => ({
    nr: mmap,
    base: 0,
    args: [i * PAGE, PAGE, prot, shared + MAP_FIXED, fd, (i >> 1) * PAGE],
  });
  return [
    { nr: mmap, args: [0, LENGTH, 0, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0] },
    page(0, firstFd),
    page(1, fds[1] as number),
    page(2, fds[0] as number),
    page(3, fds[1] as number),
    { nr: sysNumber('munmap'), args: [0, LENGTH], base: 0, onFailure: true },
    ...fds.map((fd) => ({ nr: sysNumber('close'), args: [fd], always: true })),
  ];
}

const results = new Float64Array(8);

function serve(program: Supervised): number {
  const { listener, notif } = program;
  const fds = memfds.map((fd) => native.notifAddfd(listener, notif.bytes, fd, 0, 0, O_CLOEXEC));
  if (fds.some((fd) => fd < 0)) return Math.min(...fds);
  const calls = pieces(fds, PROT_READ | PROT_WRITE);
  return native.injectCalls(listener, notif.bytes, notif.pid, calls, results);
}

function start(mode: string, count: number, flags = WAIT_KILLABLE_RECV, length = LENGTH) {
  const command = [mapper, mode, '4', String(length), String(count)];
  return new Supervised(command, { flags, fds: [device[1]] });
}

const ourDescriptors = () => readdirSync('/proc/self/fd').length;

describe.each([
  ['with WAIT_KILLABLE_RECV', WAIT_KILLABLE_RECV],
  ['without WAIT_KILLABLE_RECV', 0],
])('injected mappings %s', (_name, flags) => {
  test('a scattered buffer appears in one piece, with registers, mask and actions untouched', async () => {
    const program = start('plain', 50, flags);
    let served = 0;
    while (program.receive()) {
      expect(serve(program)).toBe(0);
      if (served++ === 49) break;
    }
    const ended = await program.end();
    expect(ended.stderr).toBe('');
    expect(ended.code).toBe(0);
    expect(results[0]).toBeGreaterThan(0);
    expect(Array.from(results.slice(1, 5))).toEqual(
      [0, 1, 2, 3].map((page) => (results[0] as number) + page * PAGE),
    );
    expect(Array.from(results.slice(5))).toEqual([-ECANCELED, 0, 0]);
    const first = new Uint8Array(2);
    native.lseek(memfds[0], 0, 0);
    native.read(memfds[0], first);
    expect(String.fromCharCode(...first)).toBe('AZ');
  });

  test('a failing piece undoes what was mapped and is what the program sees', async () => {
    const program = start('plain', 1, flags);
    program.receive();
    const { listener, notif } = program;
    const readOnly = check('reopen', native.reopen(memfds[1], 0));
    const fds = [memfds[0], readOnly].map((fd) =>
      native.notifAddfd(listener, notif.bytes, fd, 0, 0, O_CLOEXEC),
    );
    const mapsBefore = readFileSync(`/proc/${notif.pid}/maps`, 'utf8');
    const calls = pieces(fds, PROT_READ | PROT_WRITE);
    expect(native.injectCalls(listener, notif.bytes, notif.pid, calls, results)).toBe(0);
    expect(Array.from(results.slice(2))).toEqual([-EACCES, -ECANCELED, -ECANCELED, 0, 0, 0]);
    native.close(readOnly);
    expect(mapsBefore).not.toContain('pieces');
    const ended = await program.end();
    expect(ended.stderr).toBe('mmap: Permission denied\n');
  });

  test('signals every millisecond neither disturb the calls nor are lost', async () => {
    const program = start('timer', 2000, flags);
    let gone = 0;
    while (program.receive()) {
      const answer = serve(program);
      if (answer !== 0) gone++;
    }
    const ended = await program.end();
    expect(ended.stderr).toBe('');
    // Without the flag a signal takes the notification away, and the call is made again.
    if (flags) expect(gone).toBe(0);
    // The last ones may be on their way.
    const [, told, ticks] = /(\d+) of (\d+) ticks/.exec(ended.stdout) ?? [];
    expect(Number(told)).toBeGreaterThan(Number(ticks) / 2);
  });

  test('threads map side by side', async () => {
    const program = start('thread', 300, flags);
    let threads = new Set<number>();
    while (program.receive()) {
      expect(serve(program)).toBe(0);
      threads = threads.add(program.notif.pid);
    }
    expect(await program.end()).toMatchObject({ code: 0, stderr: '' });
    expect(threads.size).toBe(3);
    expect(threads).not.toContain(program.child.pid);
  });

  test.each(['forever', 'threads-forever'])(
    'killed in the middle (%s): no hang, and the exit is reaped',
    { timeout: 120_000 },
    async (mode) => {
      const before = ourDescriptors();
      for (let round = 0; round < 200; round++) {
        const program = start(mode, 0, flags);
        const pid = program.child.pid as number;
        // The killer is another process, so that the signal falls anywhere.
        const delay = (0.002 + 0.00013 * (round % 50)).toFixed(5);
        spawn('/bin/sh', ['-c', `sleep ${delay}; kill -9 ${pid}`], { stdio: 'ignore' });
        let lost = 0;
        while (program.receive()) {
          const answer = serve(program);
          if (answer !== 0) {
            expect([-ESRCH, -2, -ENOMEM]).toContain(answer);
            lost++;
          }
        }
        expect(lost).toBeLessThanOrEqual(3);
        expect(await program.end()).toMatchObject({ code: null, signal: 'SIGKILL', stderr: '' });
      }
      await expect.poll(ourDescriptors).toBeLessThanOrEqual(before);
    },
  );

  test.each(['exec', 'exec-in-thread'])(
    'another thread calls execve meanwhile (%s): no hang',
    { timeout: 60_000 },
    async (mode) => {
      for (let round = 0; round < 100; round++) {
        const program = start(mode, 1000 + 17 * round, flags);
        while (program.receive()) serve(program);
        expect(await program.end()).toMatchObject({ code: 0, stderr: '' });
      }
    },
  );
});

test('a grandchild that is killed while seized does not stay a zombie', {
  timeout: 60_000,
}, async () => {
  for (let round = 0; round < 50; round++) {
    const script = `${mapper} forever 4 ${LENGTH} 0 & sleep 0.00${5 + (round % 5)}; kill -9 $!; wait $!; echo $?`;
    const program = new Supervised(['/bin/sh', '-c', script], { fds: [device[1]] });
    while (program.receive()) serve(program);
    expect(await program.end()).toMatchObject({ code: 0, stdout: '137\n' });
  }
});

test('a thread that somebody traces is left alone: EPERM, and the notification is still open', async () => {
  expect(spawnSync('strace', ['-V']).status).toBe(0);
  const program = new Supervised([mapper, 'plain', '4', String(LENGTH), '1'], {
    fds: [device[1]],
    through: ['strace', '-f', '-o', '/dev/null'],
  });
  program.receive();
  expect(serve(program)).toBe(-EPERM);
  expect(native.notifIdValid(program.listener, program.notif.bytes)).toBe(0);
  expect(program.send(0n, -ENOMEM)).toBe(0);
  expect(await program.end()).toMatchObject({ code: 1, stderr: 'mmap: Cannot allocate memory\n' });
});

test('an injected call that is itself notified is interrupted, not waited for', async () => {
  const program = start('plain', 1);
  program.receive();
  const { listener, notif } = program;
  const trapped = { nr: sysNumber('mmap'), args: [0, PAGE, 3, MAP_SHARED, 4, 0] };
  expect(native.injectCalls(listener, notif.bytes, notif.pid, [trapped], results)).toBe(0);
  expect(results[0]).toBe(-4);
  expect((await program.end()).stderr).toBe('mmap: Interrupted system call\n');
});

test('arguments out of order are EINVAL and leave the notification open', async () => {
  const program = start('plain', 1);
  program.receive();
  const { listener, notif } = program;
  const inject = (calls: InjectedCall[], into = results) =>
    native.injectCalls(listener, notif.bytes, notif.pid, calls, into);
  expect(inject([])).toBe(-22);
  expect(inject([{ nr: 0, args: [], base: 0 }])).toBe(-22);
  expect(inject([{ nr: 0, args: [1, 2, 3, 4, 5, 6, 7] }])).toBe(-22);
  expect(inject([{ nr: 0, args: [] }], new Float64Array(0))).toBe(-22);
  expect(native.injectCalls(device[0], notif.bytes, notif.pid, pieces([9, 9], 1), results)).toBe(
    -25,
  );
  expect(serve(program)).toBe(0);
  expect(await program.end()).toMatchObject({ code: 0, stderr: '' });
});
