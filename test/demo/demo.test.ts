/** `dmabuf-shim demo`, as it is started from a shell. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { PNG } from 'pngjs';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { exampleProgram, GCC, missing } from '../programs.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const FRAMES = 12;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-demo-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Starts the demo in `folder`. */
function start(...args: string[]): ChildProcess {
  const main = join(root, 'dist/src/cli/main.js');
  const child = spawn(process.execPath, [main, 'demo', ...args], { cwd: folder });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  return child;
}

/** Runs it to its end. */
function demo(...args: string[]) {
  return finish(start(...args));
}

async function finish(child: ChildProcess) {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, stdout, stderr };
}

/** The process that runs one of the demo's three programs. */
function processOf(demo: ChildProcess, name: string): number {
  const children = readFileSync(`/proc/${demo.pid}/task/${demo.pid}/children`, 'utf8');
  const pid = children
    .split(' ')
    .find(
      (child) => child && readFileSync(`/proc/${child}/cmdline`, 'utf8').includes(`${name}.js`),
    );
  return Number(pid);
}

/** What the demo printed behind a name at the beginning of a line. */
function printed(stdout: string, name: string): string | undefined {
  return new RegExp(`^${name} +(.*)$`, 'm').exec(stdout)?.[1];
}

/** A program for the filter's place. */
function script(name: string, ...lines: string[]): string {
  const path = join(folder, name);
  writeFileSync(path, ['#!/bin/sh', ...lines, ''].join('\n'));
  chmodSync(path, 0o755);
  return path;
}

describe('the film', () => {
  test('goes through three processes without a copy, and leaves a picture and no buffer', async () => {
    const { status, stdout, stderr } = await demo('--frames', `${FRAMES}`, '--out', 'film.png');
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(stdout).toContain(`frame ${FRAMES} of ${FRAMES}`);
    expect(printed(stdout, 'frames')).toMatch(/^12 in \d+\.\d\d s: \d+ fps$/);
    // Two frames of 640 × 480 pixels of 4 bytes, twelve times.
    expect(printed(stdout, 'shared')).toMatch(/^29\.5 MB/);
    expect(printed(stdout, 'buffers')).toMatch(/^8 .*camera-0 .*filter-3$/);
    // Both ways on both sockets: a message for each of four buffers, two for each frame, and the ends.
    const messages = 2 * (4 + 2 * FRAMES + 1) + 1;
    expect(printed(stdout, 'copied')).toBe(
      `0 bytes; the sockets carried ${messages} messages of 20 bytes and 12 descriptors`,
    );
    expect(printed(stdout, 'fences')).toMatch(
      /^waited for \d+ of 12 frames, \d+\.\d ms on average$/,
    );
    expect(printed(stdout, 'left')).toBe('0 buffers');
    expect(printed(stdout, 'picture')).toBe(join(folder, 'film.png'));

    const { width, height, data } = PNG.sync.read(readFileSync(join(folder, 'film.png')));
    expect([width, height]).toEqual([1320, 504]);
    const pixel = (x: number, y: number) => [...data.subarray(4 * (y * width + x)).subarray(0, 3)];
    // The astronaut's suit is orange, and paler in water colours.
    const [red = 0, green = 0, blue = 0] = pixel(100, 200);
    expect(red).toBeGreaterThan(green + 50);
    expect(green).toBeGreaterThan(blue);
    expect(pixel(100, 448)[2]).toBeGreaterThan(blue);
  });

  test('is the same each time, and another for another picture', async () => {
    const checksum = async (...args: string[]) =>
      printed((await demo('--frames', `${FRAMES}`, ...args)).stdout, 'checksum');
    const first = await checksum();
    expect(first).toMatch(/^[0-9a-f]{16}$/);
    expect(await checksum()).toBe(first);
    expect(await checksum(join(root, 'fixtures/photos/coffee.png'))).not.toBe(first);
    expect(existsSync(join(folder, 'dmabuf-shim-demo.png'))).toBe(true);
  });

  test('is the same with the filter in C, which draws first and needs no fence', async ({
    skip,
  }) => {
    const why = missing(GCC);
    if (why) skip(why);
    copyFileSync(exampleProgram('filter'), join(folder, 'filter'));
    const inNode = await demo('--frames', `${FRAMES}`);
    const inC = await demo('--frames', `${FRAMES}`, '--filter', './filter');
    expect(inC.stderr).toBe('');
    expect(inC.status).toBe(0);
    for (const name of ['checksum', 'copied', 'buffers', 'shared', 'left']) {
      expect(printed(inC.stdout, name)).toBe(printed(inNode.stdout, name));
    }
    expect(printed(inC.stdout, 'fences')).toBe('waited for 0 of 12 frames');
  });

  test.each([
    ['one frame of one transparent pixel', 1, 1, 1],
    ['two frames of a picture much larger than they are', 2, 3000, 2500],
    ['a strip', 3, 2000, 1],
  ])('%s', async (_, frames, width, height) => {
    writeFileSync(join(folder, 'odd.png'), PNG.sync.write(new PNG({ width, height, fill: true })));
    const { status, stderr, stdout } = await demo('--frames', `${frames}`, 'odd.png');
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(printed(stdout, 'left')).toBe('0 buffers');
  });
});

describe('what cannot be, in one line', () => {
  /** The status and the line on stderr, `folder` left out. */
  async function refusal(...args: string[]): Promise<string> {
    const { status, stderr } = await demo(...args);
    return `${status} ${stderr.replaceAll(folder, '')}`;
  }

  test('wrong arguments', async () => {
    expect(await refusal('--frames', '0')).toBe(
      '2 dmabuf-shim demo: --frames takes a number from 1 to 1000000, not "0"\n',
    );
    expect(await refusal('a.png', 'b.png')).toBe('2 dmabuf-shim demo: one picture at a time\n');
    expect(await refusal('--speed')).toMatch(/^2 dmabuf-shim demo: no option --speed .*\n$/);
  });

  test('files that are not there, or not right', async () => {
    writeFileSync(join(folder, 'note.txt'), 'not a picture');
    const whole = readFileSync(join(root, 'fixtures/photos/coffee.png'));
    writeFileSync(join(folder, 'cut.png'), whole.subarray(0, 3000));
    const why = 'no such file or directory\n';
    expect(await refusal('none.png')).toBe(`1 dmabuf-shim demo: cannot read /none.png: ${why}`);
    expect(await refusal('note.txt')).toBe('1 dmabuf-shim demo: /note.txt: not a PNG\n');
    expect(await refusal('cut.png')).toMatch(
      /^1 dmabuf-shim demo: the camera ended with status 1: \/cut\.png: not a readable PNG: .*\n$/,
    );
    expect(await refusal('--out', 'no/x.png')).toBe(
      `1 dmabuf-shim demo: cannot write /no/x.png: ${why}`,
    );
    expect(await refusal('--filter', 'none')).toBe(`1 dmabuf-shim demo: cannot run /none: ${why}`);
  });
});

test.each(['camera', 'filter', 'display'])('the %s is killed while the film runs', async (name) => {
  const child = start('--frames', '100000');
  const end = finish(child);
  await new Promise<void>((resolve) => {
    child.stdout?.on('data', (text: string) => /^frame /m.test(text) && resolve());
  });
  process.kill(processOf(child, name), 'SIGKILL');
  const { status, stderr } = await end;
  expect(stderr).toBe(`dmabuf-shim demo: the ${name} was killed by SIGKILL\n`);
  expect(status).toBe(1);
});

describe('a filter that fails', () => {
  test('by a signal', async () => {
    const { status, stderr } = await demo('--filter', script('crash', 'kill -SEGV $$'));
    expect(stderr).toBe('dmabuf-shim demo: the filter was killed by SIGSEGV\n');
    expect(status).toBe(1);
  });

  test('with words of its own', async () => {
    const filter = script('fail', 'echo no such style >&2', 'exit 7');
    const { status, stderr } = await demo('--filter', filter);
    expect(stderr).toBe('dmabuf-shim demo: the filter ended with status 7: no such style\n');
    expect(status).toBe(1);
  });

  test('by leaving early', async () => {
    const { status, stderr } = await demo('--filter', script('leave', 'exit 0'));
    expect(stderr).toBe('dmabuf-shim demo: the filter ended with status 0 before the last frame\n');
    expect(status).toBe(1);
  });

  test('by doing nothing', async () => {
    const filter = script('idle', 'exec sleep 60');
    const { status, stderr } = await demo('--timeout', '1', '--frames', '9', '--filter', filter);
    expect(stderr).toBe('dmabuf-shim demo: no frame for 1 s; 0 of 9 had come through\n');
    expect(status).toBe(1);
  });
});

describe('a filter that owes a frame', () => {
  /** Passes the first frame on with a fence on it, and does something else then than to draw. */
  function debtor(name: string, then: string): string {
    const [posix, ioctl] = ['dist/src/posix.js', 'dist/ioctl/all.js'].map((path) =>
      pathToFileURL(join(root, path)),
    );
    const path = join(folder, `${name}.mjs`);
    writeFileSync(
      path,
      `
      import { ioctl, open, recvmsg, sendmsg } from '${posix}';
      import * as uapi from '${ioctl}';
      const heap = open('/dev/dma_heap/system', uapi.O_RDWR);
      const timeline = open('/sys/kernel/debug/sync/sw_sync', uapi.O_RDWR);
      const outputs = [];
      for (let type; type !== 2; ) {
        const { data, fds } = recvmsg(3, 64);
        const [, buffer, , width, height] = ([type] = new Uint32Array(data.buffer, 0, 5));
        if (type === 1) {
          const len = BigInt(4 * width * height);
          const own = uapi.dma_heap_allocation_data.create({ len, fd_flags: uapi.O_RDWR });
          ioctl(heap, uapi.DMA_HEAP_IOCTL_ALLOC, own);
          outputs[buffer] = own.fd;
          sendmsg(4, data, [...fds, own.fd]);
        } else {
          const promise = uapi.sw_sync_create_fence_data.create({ value: 1 });
          ioctl(timeline, uapi.SW_SYNC_IOC_CREATE_FENCE, promise);
          const flags = uapi.DMA_BUF_SYNC_WRITE;
          const imported = uapi.dma_buf_import_sync_file.create({ flags, fd: promise.fence });
          ioctl(outputs[buffer], uapi.DMA_BUF_IOCTL_IMPORT_SYNC_FILE, imported);
          sendmsg(4, data);
        }
      }
      ${then}
      `,
    );
    return script(name, `exec ${process.execPath} ${path}`);
  }

  test('and dies: the display goes on, and the demo says who died', async () => {
    // Somebody keeps the sockets, as long as the demo runs: it is the fence alone that the display learns of it by.
    const filter = debtor(
      'dies',
      `import { spawn } from 'node:child_process';
      const asLong = 'while kill -0 ' + process.ppid + '; do sleep 0.1; done';
      spawn('sh', ['-c', asLong], { stdio: ['ignore', 'ignore', 'ignore', 3, 4] });
      setTimeout(() => process.kill(process.pid, 'SIGKILL'), 200);`,
    );
    const { status, stdout, stderr } = await demo('--frames', '1', '--filter', filter);
    expect(stderr).toBe('dmabuf-shim demo: the filter was killed by SIGKILL\n');
    expect(status).toBe(1);
    expect(stdout).toContain('frame 1 of 1');
  });

  test('and never delivers it: the demo says whose fence it is', async () => {
    const filter = debtor('forgets', 'setInterval(() => {}, 1000);');
    const { status, stderr } = await demo('--frames', '9', '--timeout', '8', '--filter', filter);
    const [what, whose] = stderr.split('\n');
    expect(what).toBe('dmabuf-shim demo: no frame for 8 s; 0 of 9 had come through');
    expect(whose).toMatch(
      /^dma_fence: sw_sync-\S+-1, made by \S+\[\d+\], is not signalled after \d\.\d s: \S+\[\d+\] in p?poll/,
    );
    expect(status).toBe(1);
  });
});
