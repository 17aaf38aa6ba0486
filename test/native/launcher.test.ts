import { spawnSync } from 'node:child_process';
import { beforeAll, expect, test } from 'vitest';
import { native } from '../../src/native.js';
import { compile, filter, O_CLOEXEC, REQUEST, Supervised } from './supervised.js';

const ADDFD_SEND = 2;

let client: string;

beforeAll(() => {
  client = compile('ioctl');
});

const run = (count: number) => new Supervised([client, String(REQUEST), String(count)]);

/** The client's 8 bytes, read and written back one higher. */
function increment({ notif }: Supervised): void {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  expect(native.processVmReadv(notif.pid, notif.arg(2), bytes, 0, 8)).toBe(8);
  view.setBigUint64(0, view.getBigUint64(0, true) + 1n, true);
  expect(native.processVmWritev(notif.pid, notif.arg(2), bytes, 0, 8)).toBe(8);
}

test('a call is answered with a value, its argument read and written', async () => {
  const program = run(3);
  expect(program.report).toMatchObject({ step: 0, error: 0 });
  while (program.receive()) {
    expect(program.notif.pid).toBe(program.child.pid);
    expect(program.notif.nr).toBe(native.SYS.ioctl);
    expect(program.notif.arg(1)).toBe(REQUEST);
    expect(native.notifIdValid(program.listener, program.notif.bytes)).toBe(0);
    increment(program);
    expect(program.send(7n)).toBe(0);
    expect(native.notifIdValid(program.listener, program.notif.bytes)).toBe(-2);
    // ENOENT; EINPROGRESS while the caller has not yet taken the first answer.
    expect([-2, -115]).toContain(program.send(7n));
  }
  const { stdout, code } = await program.end();
  expect(stdout).toMatch(/^7 0 44 /);
  expect(code).toBe(0);
});

test('an errno arrives as errno, and CONTINUE lets the real kernel answer', async () => {
  const program = run(1);
  program.receive();
  program.send(0n, -71);
  expect((await program.end()).stdout).toMatch(/^-1 71 41 /);

  const other = run(1);
  other.letRun();
  // The real answer for /dev/null.
  expect((await other.end()).stdout).toMatch(/^-1 25 41 /);
});

test('ADDFD_SEND answers with the new descriptor', async () => {
  const program = run(1);
  program.receive();
  const memfd = native.memfdCreate('given', 0);
  const { listener, notif } = program;
  const given = native.notifAddfd(listener, notif.bytes, memfd, ADDFD_SEND, 0, O_CLOEXEC);
  expect(given).toBeGreaterThanOrEqual(0);
  expect((await program.end()).stdout).toMatch(new RegExp(`^${given} 0 41 `));
  native.close(memfd);
});

test('the kernel tells the sizes that this code uses', () => {
  expect(native.notifSizes()).toEqual([80, 24, 64]);
});

test('the program inherits neither listener nor socket, and its own standard input', async () => {
  const program = new Supervised(['/bin/ls', '/proc/self/fd']);
  program.letRun();
  const plain = spawnSync('/bin/ls', ['/proc/self/fd'], { encoding: 'utf8' });
  expect((await program.end()).stdout).toBe(plain.stdout);
});

test('a program that cannot be run is reported, with the exit status of a shell', async () => {
  const missing = new Supervised(['/tmp/no-such-program-at-all']);
  expect(missing.laterReport()).toMatchObject({ step: 3, error: 2, listener: undefined });
  expect((await missing.end()).code).toBe(127);

  const folder = new Supervised(['/tmp']);
  expect(folder.laterReport()).toMatchObject({ step: 3, error: 13 });
  expect((await folder.end()).code).toBe(126);
});

test('the program is found in PATH and gets its arguments as they are', async () => {
  const program = new Supervised(['printf', '%s|', 'a b', '', '$c']);
  program.letRun();
  expect((await program.end()).stdout).toBe('a b||$c|');
});

test('a filter that the kernel refuses is reported as step 2', async () => {
  const message = new Uint8Array(4 + 8);
  const program = new Supervised(['true'], { message });
  expect(program.report).toEqual({ step: 2, error: 22, listener: undefined });
  expect((await program.end()).code).toBe(126);
});

test('a flag that the kernel does not know is EINVAL, but WAIT_KILLABLE_RECV may be left out', async () => {
  const message = new Uint8Array(4 + filter.length);
  message.set(filter, 4);
  new DataView(message.buffer).setUint32(0, 0x8000_0000, true);
  const program = new Supervised(['true'], { message });
  expect(program.report).toMatchObject({ step: 2, error: 22 });
  await program.end();
});

test('started by hand the launcher says so', async () => {
  const program = new Supervised(['true'], { message: new Uint8Array(1) });
  expect(program.report).toBe(undefined);
  expect(await program.end()).toMatchObject({
    code: 126,
    stderr: 'launcher: to be started by dmabuf-shim only\n',
  });
});
