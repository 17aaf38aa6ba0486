import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  fstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { describe, expect, onTestFinished, test } from 'vitest';
import { O_CLOEXEC } from '../../ioctl/index.js';
import { check, native, STAT_FIELDS, Stat } from '../../src/native.js';
import { until } from '../run.js';
import {
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_READ,
  PROT_WRITE,
  SOCK_SEQPACKET,
  SOCK_STREAM,
} from './supervised.js';

const SOCK_NONBLOCK = 0o4000;

const [EPERM, ENOENT, EBADF, EAGAIN, EACCES, EFAULT, EEXIST, EINVAL, ENAMETOOLONG] = [
  1, 2, 9, 11, 13, 14, 17, 22, 36,
];
const PAGE = 4096;
const SCHED_IDLE = 5;
const MFD_ALLOW_SEALING = 2;
const F_GETFD = 1;
const F_ADD_SEALS = 1033;
const F_GET_SEALS = 1034;
const SEAL_SHRINK_GROW = 6;
const RW = PROT_READ | PROT_WRITE;
const AT_FDCWD = -100;
const addon = fileURLToPath(new URL('../../build/Release/dmabuf_shim.node', import.meta.url));

function memfd(length: number, name = 'test'): number {
  const fd = check('memfd_create', native.memfdCreate(name, MFD_ALLOW_SEALING));
  check('ftruncate', native.ftruncate(fd, length));
  return fd;
}

function map(fd: number, length: number, offset = 0): ArrayBuffer {
  return check('mmap', native.mmap(length, RW, MAP_SHARED, fd, offset));
}

const mapped = (name: string) => readFileSync('/proc/self/maps', 'utf8').split(name).length - 1;

describe('descriptors', () => {
  test('whatever opens a descriptor makes it close-on-exec', () => {
    const pair = check('socketpair', native.socketpair(SOCK_SEQPACKET));
    const fd = memfd(0);
    const fds = [
      fd,
      native.open('/dev/null', 0, 0),
      native.dup(fd),
      native.reopen(fd, 0),
      ...pair,
      native.inotifyInit(0),
      native.epollCreate(),
      native.pidfdOpen(process.pid, 0),
    ];
    for (const each of fds) expect(native.fcntl(each, F_GETFD, 0)).toBe(1);
    for (const each of fds) expect(native.close(each)).toBe(0);
    expect(native.close(fd)).toBe(-EBADF);
  });

  test('a failure is a negative errno', () => {
    expect(native.open('/no/such/file', 0, 0)).toBe(-ENOENT);
    expect(native.open('a\0b', 0, 0)).toBe(-EINVAL);
    expect(native.open('x'.repeat(5000), 0, 0)).toBe(-ENAMETOOLONG);
    expect(native.open(`/${'ä'.repeat(2000)}`, 0, 0)).toBe(-ENAMETOOLONG);
    expect(native.reopen(987654, 0)).toBe(-EBADF);
    expect(native.access('/proc')).toBe(0);
    expect(native.access('/no')).toBe(-ENOENT);
    expect(native.readlink('/no')).toBe(-ENOENT);
    expect(native.read(-1, new Uint8Array(1))).toBe(-EBADF);
    expect(native.fstat(-1, new Float64Array(STAT_FIELDS))).toBe(-EBADF);
    expect(native.fstat(0, new Float64Array(3))).toBe(-EINVAL);
    expect(() => check('open', native.open('/no/such', 0, 0))).toThrow(
      expect.objectContaining({ code: 'ENOENT', errno: -2, syscall: 'open' }),
    );
  });

  test('fstat and fstatat say what Node says', () => {
    const out = new Float64Array(STAT_FIELDS);
    const stat = statSync('/dev/null');
    expect(native.fstatat(AT_FDCWD, '/dev/null', 0, out)).toBe(0);
    expect(out[Stat.rdev]).toBe(stat.rdev);
    expect(out[Stat.mode]).toBe(stat.mode);
    const fd = memfd(12345);
    expect(native.fstat(fd, out)).toBe(0);
    expect(out[Stat.size]).toBe(12345);
    const ino = out[Stat.ino];
    expect(native.fstatat(AT_FDCWD, `/proc/${process.pid}/fd/${fd}`, 0, out)).toBe(0);
    expect(out[Stat.ino]).toBe(ino);
    expect(out[Stat.mtimeSec]).toBeGreaterThan(0);
    expect(native.readlink(`/proc/self/fd/${fd}`)).toBe(readlinkSync(`/proc/self/fd/${fd}`));
    native.close(fd);
  });

  test('the inodes of many descriptors at once', () => {
    const fds = [memfd(1), memfd(2)];
    const directory = native.open('/proc/self/fd', O_CLOEXEC, 0);
    const names = Int32Array.of(fds[0] as number, -1, 987654, fds[1] as number);
    const inodes = new Float64Array(8);
    expect(native.inodesOfNumbers(directory, names, inodes)).toBe(2);
    const [a, b] = fds.map((fd) => fstatSync(fd));
    expect([...inodes]).toEqual([a?.dev, a?.ino, 0, 0, 0, 0, b?.dev, b?.ino]);
    expect(native.inodesOfNumbers(-1, names, inodes)).toBe(0);
    expect(native.inodesOfNumbers(directory, names, inodes.subarray(1))).toBe(-EINVAL);
    for (const fd of [...fds, directory]) native.close(fd);
  });

  test('poll of the descriptors of a process: closed ones, repeated ones, more than are taken at once', () => {
    const pair = check('socketpair', native.socketpair(SOCK_SEQPACKET));
    const pidfd = native.pidfdOpen(process.pid, 0);
    const before = readdirSync('/proc/self/fd').length;
    const [POLLIN, POLLOUT, POLLNVAL] = [1, 4, 32];
    const fds = [...Array.from({ length: 200 }, (_, i) => pair[i % 2] as number), 987654, -1];
    const array = new DataView(new ArrayBuffer(8 * fds.length));
    fds.forEach((fd, i) => {
      array.setInt32(8 * i, fd, true);
      array.setInt16(8 * i + 4, i % 4 < 2 ? POLLIN : POLLOUT, true);
      array.setInt16(8 * i + 6, 0x7f, true);
    });
    expect(native.pollOf(pidfd, new Uint8Array(array.buffer))).toBe(101);
    const revents = fds.map((_, i) => array.getInt16(8 * i + 6, true));
    expect(revents.slice(0, 4)).toEqual([0, 0, POLLOUT, POLLOUT]);
    expect(revents.slice(-6)).toEqual([0, 0, POLLOUT, POLLOUT, POLLNVAL, 0]);
    expect(fds.map((_, i) => array.getInt32(8 * i, true))).toEqual(fds);
    expect(readdirSync('/proc/self/fd')).toHaveLength(before);
    expect(native.pollOf(987654, new Uint8Array(array.buffer, 0, 8))).toBe(1); // POLLNVAL
    expect(native.pollOf(pidfd, [] as never)).toBe(-EINVAL);
    for (const fd of [...pair, pidfd]) native.close(fd);
  });

  test('names are made, and exchanged', () => {
    const folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-native-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const [file, pipe] = [join(folder, 'file'), join(folder, 'pipe')];
    const [S_IFREG, S_IFIFO, RENAME_EXCHANGE] = [0o100000, 0o010000, 2];
    expect(native.mknod(file, S_IFREG | 0o600)).toBe(0);
    expect(native.mknod(pipe, S_IFIFO | 0o600)).toBe(0);
    expect(native.mknod(file, S_IFREG | 0o600)).toBe(-EEXIST);
    expect(native.renameat2(file, pipe, RENAME_EXCHANGE)).toBe(0);
    expect([statSync(file).isFIFO(), statSync(pipe).isFile()]).toEqual([true, true]);
    expect(native.renameat2(file, '/no/such', 0)).toBe(-ENOENT);
  });

  test('read, pread, write, lseek, poll, ioctl, getdents64', () => {
    const fd = memfd(0);
    expect(native.write(fd, Uint8Array.of(1, 2, 3))).toBe(3);
    expect(native.lseek(fd, 1, 0)).toBe(1);
    const bytes = Buffer.alloc(8);
    expect(native.read(fd, bytes)).toBe(2);
    expect([...bytes.subarray(0, 3)]).toEqual([2, 3, 0]);
    expect(native.pread(fd, bytes, 2)).toBe(1);
    expect([...bytes.subarray(0, 3)]).toEqual([3, 3, 0]);
    expect(native.pread(-1, bytes, 0)).toBe(-EBADF);
    const TCGETS = 0x5401;
    const ENOTTY = 25;
    for (const argument of [null, 0, 5n, bytes])
      expect(native.ioctl(fd, TCGETS, argument)).toBe(-ENOTTY);
    // _IOR('f', 1, long): what the kernel would write behind the array's end is refused.
    expect(native.ioctl(fd, 0x80086601, new Uint8Array(4))).toBe(-EFAULT);
    const folder = native.open('/proc/self', 0o200000, 0);
    expect(native.getdents64(folder, new Uint8Array(4096))).toBeGreaterThan(100);
    expect(native.getdents64(fd, new Uint8Array(4096))).toBe(-20);
    native.close(folder);
    native.close(fd);
  });
});

describe('memory', () => {
  test('seals hold, and a descriptor opened anew has its own access mode', () => {
    const fd = memfd(PAGE);
    expect(native.fcntl(fd, F_ADD_SEALS, SEAL_SHRINK_GROW)).toBe(0);
    expect(native.fcntl(fd, F_GET_SEALS, 0)).toBe(SEAL_SHRINK_GROW);
    expect(native.ftruncate(fd, 0)).toBe(-EPERM);
    const readOnly = native.reopen(fd, 0);
    expect(native.mmap(PAGE, RW, MAP_SHARED, readOnly, 0)).toBe(-EACCES);
    expect(native.munmap(native.mmap(PAGE, RW, MAP_PRIVATE, readOnly, 0) as ArrayBuffer)).toBe(0);
    native.close(readOnly);
    native.close(fd);
  });

  test('two mappings of a memfd are the same memory', () => {
    const fd = memfd(2 * PAGE);
    const whole = new Uint8Array(map(fd, 2 * PAGE));
    const second = new Uint8Array(map(fd, 100, PAGE));
    expect(second.length).toBe(100);
    whole[PAGE + 7] = 42;
    expect(second[7]).toBe(42);
    expect(native.addressOf(whole.subarray(5))).toBe(native.addressOf(whole) + 5);
    expect(native.munmap(whole.buffer)).toBe(0);
    expect(native.munmap(second.buffer)).toBe(0);
    native.close(fd);
  });

  test('munmap detaches: views are empty, a second time is EINVAL', () => {
    const fd = memfd(PAGE, 'detached');
    const buffer = map(fd, PAGE);
    const view = new Uint8Array(buffer);
    expect(mapped('detached')).toBe(1);
    expect(native.munmap(buffer)).toBe(0);
    expect(mapped('detached')).toBe(0);
    expect([view.length, buffer.byteLength, view[0]]).toEqual([0, 0, undefined]);
    expect(native.munmap(buffer)).toBe(-EINVAL);
    expect(native.munmap(new ArrayBuffer(PAGE))).toBe(-EINVAL);
    expect(native.munmap(view as unknown as ArrayBuffer)).toBe(-EINVAL);
    const again = map(fd, PAGE);
    expect(native.munmap(again)).toBe(0);
    native.close(fd);
  });

  test("what cannot be mapped gives the kernel's errno", () => {
    const fd = memfd(PAGE);
    expect(native.mmap(0, RW, MAP_SHARED, fd, 0)).toBe(-EINVAL);
    expect(native.mmap(PAGE, RW, MAP_SHARED, fd, 1)).toBe(-EINVAL);
    expect(native.mmap(PAGE, RW, MAP_SHARED, -1, 0)).toBe(-EBADF);
    expect(native.mmap(2 ** 60, RW, MAP_SHARED, fd, 0)).toBe(-12);
    native.close(fd);
  });

  test('pieces: one mapping in the order told; a bad piece leaves nothing', () => {
    const a = memfd(2 * PAGE, 'piece');
    const b = memfd(PAGE, 'piece');
    const first = new Uint8Array(map(a, 2 * PAGE));
    const pieces = Float64Array.of(a, PAGE, PAGE, b, 0, PAGE, a, 0, PAGE);
    const all = new Uint8Array(check('mmap', native.mmapPieces(pieces, RW)));
    expect(all.length).toBe(3 * PAGE);
    all[0] = 1;
    all[2 * PAGE] = 2;
    expect([first[PAGE], first[0]]).toEqual([1, 2]);
    expect(native.munmap(all.buffer)).toBe(0);
    expect(native.munmap(first.buffer)).toBe(0);
    for (const [bad, errno] of [
      [[a, 0, PAGE, -1, 0, PAGE], EBADF],
      [[a, 0, PAGE, b, 0, 100], EINVAL],
      [[a, 0, 0], EINVAL],
      [[a, 0], EINVAL],
      [[], EINVAL],
    ] as const)
      expect(native.mmapPieces(Float64Array.from(bad), RW)).toBe(-errno);
    expect(mapped('piece')).toBe(0);
    native.close(a);
    native.close(b);
  });

  test('garbage collection unmaps what nobody has unmapped', async () => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const fd = memfd(PAGE, 'forgotten');
    (() => {
      for (let i = 0; i < 20; i++) map(fd, PAGE);
    })();
    expect(mapped('forgotten')).toBe(20);
    for (let i = 0; i < 20 && mapped('forgotten') > 0; i++) {
      gc();
      await sleep(5);
    }
    expect(mapped('forgotten')).toBe(0);
    native.close(fd);
  });

  test('the end of a worker unmaps, closes its watches, and leaves ours alone', async () => {
    const fd = memfd(PAGE, 'worker');
    const ours = map(fd, PAGE);
    const [readEnd, writeEnd] = check('socketpair', native.socketpair(SOCK_SEQPACKET));
    const worker = new Worker(
      `const { workerData: { addon, fd, readEnd }, parentPort } = require('node:worker_threads');
       const native = require(addon);
       globalThis.kept = [native.mmap(4096, 3, 1, fd, 0), native.mmap(4096, 3, 1, fd, 0)];
       native.munmap(kept[1]);
       native.watchFd(readEnd, () => {});
       parentPort.postMessage('ready');`,
      { eval: true, workerData: { addon, fd, readEnd } },
    );
    await once(worker, 'message');
    expect(mapped('worker')).toBe(2);
    await worker.terminate();
    expect(mapped('worker')).toBe(1);
    expect(native.munmap(ours)).toBe(0);
    for (const each of [fd, readEnd, writeEnd]) native.close(each);
  });

  test('a process ends in order with mappings and watches open', () => {
    const script = `const native = require(${JSON.stringify(addon)});
      const fd = native.memfdCreate('x', 0);
      native.ftruncate(fd, 8192);
      globalThis.kept = native.mmap(8192, 3, 1, fd, 0);
      const [a] = native.socketpair(5);
      native.watchFd(a, () => {}).unref();
      native.watchSignals([2], () => {}).unref();`;
    const { status, stderr } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  test('the memory of another process: its bytes, EFAULT, and no reach beyond our array', () => {
    const source = Uint8Array.of(1, 2, 3, 4);
    const target = new Uint8Array(4);
    const address = native.addressOf(source);
    expect(native.processVmReadv(process.pid, address, target, 1, 2)).toBe(2);
    expect([...target]).toEqual([0, 1, 2, 0]);
    expect(native.processVmWritev(process.pid, address, Uint8Array.of(9), 0, 1)).toBe(1);
    expect(source[0]).toBe(9);
    for (const bad of [0, 8, -1, 2 ** 47, 2 ** 63, 2 ** 70])
      expect(native.processVmReadv(process.pid, bad, target, 0, 4)).toBe(-EFAULT);
    expect(native.processVmReadv(process.pid, address, target, 1, 4)).toBe(-EINVAL);
    expect(native.processVmReadv(process.pid, address, target, -1, 1)).toBe(-EINVAL);
    expect(native.processVmReadv(0x7ffffff, address, target, 0, 1)).toBe(-3);
  });
});

describe('sockets', () => {
  test('bytes and descriptors travel together; received ones are appended', () => {
    const [a, b] = check('socketpair', native.socketpair(SOCK_SEQPACKET));
    const fd = memfd(PAGE);
    expect(native.sendmsg(a, Uint8Array.of(5, 6), [fd, fd], 0)).toBe(2);
    const fds = [-7];
    const bytes = new Uint8Array(10);
    expect(native.recvmsg(b, bytes, fds, 0)).toBe(2);
    expect(fds.length).toBe(3);
    expect(native.fcntl(fds[1] as number, F_GETFD, 0)).toBe(1);
    expect(native.kcmp(process.pid, process.pid, 0, fd, fds[1] as number)).toBe(0);
    expect(native.recvmsg(b, bytes, fds, 0x40)).toBe(-EAGAIN);
    expect(native.sendmsg(a, bytes, [-1], 0)).toBe(-EBADF);
    for (const each of [a, ...fds.slice(1), fd]) native.close(each);
    expect(native.recvmsg(b, bytes, fds, 0)).toBe(0);
    native.close(b);
  });

  test('what a socket is set to: a send buffer that is full sooner', () => {
    const pair = check('socketpair', native.socketpair(SOCK_STREAM | SOCK_NONBLOCK));
    const [SOL_SOCKET, SO_SNDBUF] = [1, 7];
    const [chunk, small] = [new Uint8Array(2048), new Uint8Array(Int32Array.of(1).buffer)];
    const fill = () => {
      let bytes = 0;
      for (let sent = 1; sent > 0; bytes += Math.max(sent, 0)) sent = native.write(pair[0], chunk);
      return bytes;
    };
    expect(native.setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, small)).toBe(0);
    expect(fill()).toBeLessThan(16384);
    expect(native.setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, small.subarray(0, 2))).toBe(-EINVAL);
    expect(native.setsockopt(-1, SOL_SOCKET, SO_SNDBUF, small)).toBe(-EBADF);
    expect(native.setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, [] as never)).toBe(-EINVAL);
    for (const fd of pair) native.close(fd);
  });

  test('pidfd_getfd takes a descriptor of another process', async () => {
    const child = spawn('sleep', ['10'], { stdio: ['pipe', 'ignore', 'ignore'] });
    const pidfd = native.pidfdOpen(child.pid as number, 0);
    const taken = native.pidfdGetfd(pidfd, 0);
    expect(taken).toBeGreaterThan(0);
    expect(native.kcmp(process.pid, child.pid as number, 0, taken, 0)).toBe(0);
    child.kill();
    expect((await once(child, 'exit'))[1]).toBe('SIGTERM');
    native.close(pidfd);
    native.close(taken);
  });
});

describe('events', () => {
  test('inotify tells of the last close and the last munmap, not of our own descriptor', () => {
    const IN_CLOSE = 0x18;
    const IN_NONBLOCK = 0o4000;
    const fd = memfd(PAGE);
    const inotify = native.inotifyInit(IN_NONBLOCK);
    const wd = native.inotifyAddWatch(inotify, `/proc/self/fd/${fd}`, IN_CLOSE);
    expect(wd).toBe(1);
    const events = new Uint8Array(256);
    const given = native.reopen(fd, 2);
    const copy = native.dup(given);
    const mapping = map(given, PAGE);
    native.close(given);
    native.close(copy);
    expect(native.read(inotify, events)).toBe(-EAGAIN);
    native.munmap(mapping);
    expect(native.read(inotify, events)).toBe(16);
    expect(new DataView(events.buffer).getUint32(4, true)).toBe(0x08);
    expect(native.inotifyRmWatch(inotify, wd)).toBe(0);
    native.close(fd);
    native.close(inotify);
  });

  test("a lock of somebody else's open file is found until its last descriptor is gone", () => {
    const fd = memfd(0);
    const [one, two] = [native.reopen(fd, 2), native.reopen(fd, 2)];
    expect(native.ofdTest(fd, 0, 0)).toBe(-1);
    expect(native.ofdLock(one, 5, false)).toBe(0);
    expect(native.ofdLock(two, 5, false)).toBe(0);
    expect(native.ofdLock(two, 5, true)).toBe(-EAGAIN);
    expect(native.ofdTest(fd, 0, 0)).toBe(5);
    expect(native.ofdTest(fd, 6, 0)).toBe(-1);
    native.close(one);
    expect(native.ofdTest(fd, 0, 10)).toBe(5);
    native.close(two);
    expect(native.ofdTest(fd, 0, 10)).toBe(-1);
    native.close(fd);
  });

  test('epoll: data comes back, time passes in nanoseconds', () => {
    const epoll = native.epollCreate();
    const [event, writing] = check('pipe', native.pipe(O_CLOEXEC));
    const out = new Uint32Array(8);
    expect(native.epollCtl(epoll, 1, event, 1, 0xdeadbeef)).toBe(0);
    const start = process.hrtime.bigint();
    expect(native.epollWait(epoll, out, 2_000_000)).toBe(0);
    expect(Number(process.hrtime.bigint() - start)).toBeGreaterThan(1_900_000);
    native.write(writing, Uint8Array.of(1));
    expect(native.epollWait(epoll, out, -1)).toBe(1);
    expect([...out.subarray(0, 2)]).toEqual([0xdeadbeef, 1]);
    expect(native.epollCtl(epoll, 3, event, 1, 0xffff_ffff_ffff_ffffn)).toBe(0);
    expect(native.epollWait(epoll, out, 0)).toBe(1);
    expect(out[0]).toBe(0xffffffff);
    expect(native.epollCtl(epoll, 1, event, 1, 0)).toBe(-17);
    for (const fd of [event, writing, epoll]) native.close(fd);
  });

  test('watchFd calls back while there is something, until closed', async () => {
    const [a, b] = check('socketpair', native.socketpair(SOCK_SEQPACKET));
    const bytes = new Uint8Array(8);
    const seen: number[] = [];
    const watch = native.watchFd(a, () => seen.push(native.read(a, bytes)));
    native.write(b, Uint8Array.of(1));
    native.write(b, Uint8Array.of(1, 2));
    while (seen.length < 2) await sleep(1);
    native.close(b);
    while (seen.length < 3) await sleep(1);
    watch.unref();
    watch.ref();
    watch.close();
    watch.close();
    expect(seen.slice(0, 3)).toEqual([1, 2, 0]);
    const end = seen.length;
    await sleep(5);
    expect(seen.length).toBe(end);
    native.close(a);
    expect(() => native.watchFd(a, () => {})).toThrow(expect.objectContaining({ code: 'EBADF' }));
  });

  test('an exception in a callback is an uncaught one, microtasks run', () => {
    const script = `const native = require(${JSON.stringify(addon)});
      const [a, b] = native.socketpair(5);
      process.on('uncaughtException', (error) => console.log('caught', error.message));
      const watch = native.watchFd(a, () => {
        watch.close();
        Promise.resolve().then(() => console.log('microtask'));
        throw new Error('thrown');
      });
      native.write(b, new Uint8Array(1));`;
    const { stdout, status } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
    expect(stdout.trim().split('\n').sort()).toEqual(['caught thrown', 'microtask']);
    expect(status).toBe(0);
  });
});

describe('signals', () => {
  test('who sent it is told, one watch a process, closing restores', async () => {
    const script = `const native = require(${JSON.stringify(addon)});
      const watch = native.watchSignals([15, 10], (...what) => {
        console.log(JSON.stringify(what));
        if (what[0] === 15) watch.close(), setTimeout(() => process.kill(process.pid, 10), 5);
      });
      try { native.watchSignals([1], () => {}); } catch (error) { console.log(error.code); }
      console.log('ready');
      setTimeout(() => {}, 10000);`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (data) => {
      if (output === '') process.kill(child.pid as number, 'SIGTERM');
      output += data;
    });
    expect((await once(child, 'close'))[1]).toBe('SIGUSR1');
    expect(output.trim().split('\n')).toEqual(['EBUSY', 'ready', `[15,0,${process.pid},false]`]);
  });

  test('renewed, they are told apart from those before, and what nobody has taken is discarded', () => {
    const script = `const native = require(${JSON.stringify(addon)});
      let left = 2;
      const watch = native.watchSignals([15, 10], (signal, code, pid, renewed) => {
        console.log(signal, renewed);
        if (--left === 0) watch.close();
      });
      process.kill(process.pid, 15);
      native.renewSignals();
      process.kill(process.pid, 10);`;
    const { stdout, status } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
    expect(stdout).toBe('15 false\n10 true\n');
    expect(status).toBe(0);
  });

  test('raiseDefault ends the process as the signal would', () => {
    const script = `process.on('SIGTERM', () => {}); require(${JSON.stringify(addon)}).raiseDefault(15);`;
    expect(spawnSync(process.execPath, ['-e', script]).signal).toBe('SIGTERM');
  });
});

test('raiseNofile goes as far as the limit lets it', () => {
  const before = native.raiseNofile(0);
  expect(before).toBeGreaterThan(0);
  expect(native.raiseNofile(before)).toBe(before);
});

test('what is roused rests by itself, and its thread ends with the last environment that uses it', async () => {
  const roused = () =>
    readdirSync('/proc/self/task').filter((tid) => {
      // Field 41 is the policy; the name in field 2 may have blanks.
      const stat = readFileSync(`/proc/self/task/${tid}/stat`, 'utf8');
      return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[38] === String(SCHED_IDLE);
    }).length;
  const worker = new Worker(
    `const { workerData: addon, parentPort } = require('node:worker_threads');
     const native = require(addon);
     parentPort.postMessage([native.rouse(), native.rouse()]);
     setTimeout(() => {}, 60000);`,
    { eval: true, workerData: addon },
  );
  expect(await once(worker, 'message')).toEqual([[0, 0]]);
  await until('its thread rests', () => roused() === 1);
  const before = process.cpuUsage();
  await sleep(200);
  expect(process.cpuUsage(before).user).toBeLessThan(150_000);
  await worker.terminate();
  expect(roused()).toBe(0);
});
