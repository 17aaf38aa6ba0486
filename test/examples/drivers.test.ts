/** The driver in src/drivers/README.md, as it is written there, in a folder of a reader's. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { needs } from '../programs.js';

/** A program that takes longer than this, in ms, waits for ever. */
const PATIENCE = 50_000;
const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-drivers-'));
afterAll(() => rmSync(folder, { recursive: true }));
mkdirSync(join(folder, 'node_modules/@types'), { recursive: true });
symlinkSync(root, join(folder, 'node_modules/dmabuf-shim'));
for (const name of ['@types/node', 'undici-types']) {
  symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name));
}

const markdown = readFileSync(join(root, 'src/drivers/README.md'), 'utf8');
const [, driver = ''] = /^```ts title="channel\.ts"\n(.*?)^```$/ms.exec(markdown) ?? [];
const files: Record<string, string> = {
  'channel.ts': driver,
  'package.json': '{ "type": "module" }',
  'main.mjs': `
    import { once } from 'node:events';
    import { Kernel } from 'dmabuf-shim';
    import { loadModule } from 'dmabuf-shim/load';
    const { channelInit } = await loadModule(new URL('channel.ts', import.meta.url));
    const kernel = new Kernel();
    channelInit(kernel);
    const child = kernel.spawn('python3', ['client.py'], { stdio: 'inherit' });
    [process.exitCode] = await once(child, 'exit');
    for (const line of kernel.dmesg()) if (/BUG|not served/.test(line)) console.error(line);
  `,
  'client.py': `
import os, select, time
fd = os.open("/dev/channel", os.O_RDWR)
events = {select.POLLIN: "in", select.POLLOUT: "out", select.POLLIN | select.POLLOUT: "in and out"}
poll = select.poll()
poll.register(fd, select.POLLIN | select.POLLOUT)
epoll = select.epoll()
epoll.register(fd, select.EPOLLIN)
def ready(): return events[poll.poll()[0][1]]

def later(act):
    """act() of another process, while this one waits."""
    if os.fork() == 0:
        time.sleep(0.1)
        act()
        os._exit(0)

print("empty:", ready(), select.select([fd], [], [], 0)[0], epoll.poll(0))
later(lambda: os.write(fd, b"one"))
print("read waits:", os.read(fd, 2), os.readv(fd, [bytearray(1)]))
later(lambda: os.write(fd, b"two"))
print("epoll waits:", len(epoll.poll()), ready(), os.read(fd, 100))
print("too much:", os.write(fd, b"x" * 5000), ready())
later(lambda: os.read(fd, 96))
print("write waits:", os.write(fd, b"y" * 200), ready())
os.set_blocking(fd, False)
try: os.write(fd, b"z")
except BlockingIOError: print("full: EAGAIN")
print("all:", len(os.read(fd, 10000)))
try: os.read(fd, 1)
except BlockingIOError: print("empty: EAGAIN")
`,
};
for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);

beforeEach(needs(['python3', 'python3']));

test('its types are right', () => {
  const options = ['--strict', '--module', 'nodenext', '--target', 'es2023', '--types', 'node'];
  const tsc = [join(root, 'node_modules/typescript/bin/tsc'), '--noEmit', '--skipLibCheck'];
  const { stdout, status } = spawnSync(process.execPath, [...tsc, ...options, 'channel.ts'], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect([stdout, status]).toEqual(['', 0]);
});

test('programs read it, write it and wait for it', () => {
  const { stdout, stderr, status } = spawnSync(process.execPath, ['main.mjs'], {
    cwd: folder,
    encoding: 'utf8',
    timeout: PATIENCE,
  });
  expect([stderr, status]).toEqual(['', 0]);
  expect(stdout.split('\n')).toEqual([
    'empty: out [] []',
    "read waits: b'on' 1",
    "epoll waits: 1 in and out b'two'",
    'too much: 4096 in',
    'write waits: 96 in',
    'full: EAGAIN',
    'all: 4096',
    'empty: EAGAIN',
    '',
  ]);
});
