/** Calls that make names, take them away, and change inodes: of ours as on devtmpfs and sysfs, of the machine's never. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LINKAGES, needsCompiler, program } from '../../programs.js';
import { run } from '../../run.js';

beforeEach(needsCompiler);

const uid = process.getuid?.() ?? 0;
const gid = process.getgid?.() ?? 0;
const asRoot = test.skipIf(uid !== 0);
const asUser = test.skipIf(uid === 0);

async function names(args: string[], linkage: (typeof LINKAGES)[number] = 'dynamic') {
  const before = readdirSync('/dev');
  const { status, stdout, kernel } = await run({}, program('names', linkage), args);
  expect(status).toBe(0);
  // Other programs come and go, tests that make names of their own too, but none is called like ours.
  const made = readdirSync('/dev').filter((name) => !before.includes(name));
  expect(made.filter((name) => /^(dma_heap|udmabuf|probe)$/.test(name))).toEqual([]);
  return { kernel, lines: stdout.trim().split('\n') };
}

describe.each(LINKAGES)('a %s program', (linkage) => {
  asRoot('of root makes names in a directory of ours, and removes them', async () => {
    const { lines, kernel } = await names(['make'], linkage);
    expect(lines).toEqual([
      'mkdir over ours: EEXIST',
      'mkdir: done',
      '/dev/dma_heap/by-path: 040755 0:0',
      'mkdir again: EEXIST',
      'symlink: done',
      'open through it: done',
      'rmdir of what is full: ENOTEMPTY',
      'stat: done',
      'mknod: done',
      'it is the same device: done',
      'link: done',
      'rename: done',
      'in /dev/dma_heap: by-path system',
      'in /dev/dma_heap/by-path: hard moved pci-0',
      'rename over a directory: EISDIR',
      'rename to another file system: EXDEV',
      'unlink: done',
      '/dev/dma_heap/by-path/moved (deleted)',
      'still open: done',
      'nlink 0',
      'a file: EPERM',
      'a file without a name: EPERM',
      'a FIFO: EPERM',
      'a socket: EPERM',
      'a socket over ours: EADDRINUSE',
      'rmdir: done',
      'unlink ours: done',
      '/dev/udmabuf: ENOENT',
      'and again: ENOENT',
      'a file of its name: EPERM',
      'a directory of its name: done',
      'rmdir: done',
      'in /dev/dma_heap: system',
    ]);
    // What is not supported is said.
    expect(kernel.dmesg().filter((line) => line.includes('cannot make'))).toEqual([
      expect.stringMatching(/cannot make a regular file \/dev\/dma_heap\/file: .* \(EPERM\)$/),
      expect.stringMatching(/cannot make a file without a name in \/dev\/dma_heap: .* \(EPERM\)$/),
      expect.stringMatching(/cannot make a FIFO \/dev\/dma_heap\/fifo: .* \(EPERM\)$/),
      expect.stringMatching(/cannot make a socket \/dev\/dma_heap\/socket: .* \(EPERM\)$/),
      expect.stringMatching(/cannot make a regular file \/dev\/udmabuf: .* \(EPERM\)$/),
    ]);
  });

  asRoot(
    'of root finds of a removed directory what there is of it in a tmpfs',
    async ({ skip }) => {
      const removed = program('removed', linkage);
      const folder = mkdtempSync('/dev/shm/dmabuf-shim-');
      const machine = spawnSync(removed, [folder, '/dev/null'], { encoding: 'utf8' });
      rmSync(folder, { recursive: true });
      if (machine.status !== 0) skip('no nodes can be made in /dev/shm');
      expect(machine.stdout).toContain('getdents64 of .: -1 ENOENT');
      const { stdout } = await run({}, removed, ['/dev/dma_heap', '/dev/udmabuf']);
      expect(stdout).toBe(machine.stdout);
    },
  );

  asRoot('of root opens the machine’s device by a node that it has made of it', async () => {
    expect((await names(['numbers'], linkage)).lines).toEqual([
      'mknod: done',
      'open: done',
      'read: done',
      '0',
      '1:5',
      'as a directory: ENOTDIR',
      'by its name alone: done',
      'of no device: ENXIO',
      'of no block device: ENXIO',
      'of nothing: ENXIO',
    ]);
  });

  asUser('of somebody else makes nothing there', async () => {
    expect((await names(['refused', '/dev/dma_heap'], linkage)).lines).toEqual([
      'mkdir: EACCES',
      'mknod: EACCES',
      'create: EACCES',
      'symlink: EACCES',
      'name a socket: EACCES',
      'rename: EACCES',
      'remove: EACCES',
      'unlink of what is missing: ENOENT',
      'over ours: EEXIST',
    ]);
  });

  test('makes nothing in sysfs, whoever it is', async () => {
    const code = uid === 0 ? 'EPERM' : 'EACCES';
    expect((await names(['refused', '/sys/devices/virtual/dma_heap'], linkage)).lines).toEqual([
      `mkdir: ${code}`,
      `mknod: ${code}`,
      'create: EACCES',
      `symlink: ${code}`,
      `name a socket: ${code}`,
      `rename: ${code}`,
      `remove: ${code}`,
      'unlink of what is missing: ENOENT',
      'over ours: EEXIST',
    ]);
  });

  test('sets mode, owner and times of a node that is its own', async () => {
    expect((await names(['inode'], linkage)).lines).toEqual([
      `/dev/udmabuf: 020600 ${uid}:${gid}`,
      'chmod: done',
      `/dev/udmabuf: 020640 ${uid}:${gid}`,
      'fchmod: done',
      'fchmod by name only: EBADF',
      'mode 20606',
      'chown of nothing: done',
      'utimensat: done',
      '2000.7',
      'utime: done',
      '2',
      'setxattr: EPERM',
      'truncate: EINVAL',
      'chmod 0: done',
      'statfs: done',
      '1021994',
      'statfs: done',
      '62656572',
    ]);
  });

  test('watches a node, and a directory', async () => {
    const made = 'CREATE new MOVED_FROM new MOVED_TO newer DELETE newer';
    const { lines } = await names(['watch'], linkage);
    expect(lines.map((line) => line.trim())).toEqual([
      'a node: done',
      'as a directory: ENOTDIR',
      'open: OPEN',
      'close: CLOSE_WRITE',
      'chmod: ATTRIB',
      'nothing:',
      'a directory: done',
      `changes: ${uid === 0 ? made : ''}`.trim(),
    ]);
  });
});

describe('what is set', () => {
  asRoot('counts for who opens the node later, by who that is', async () => {
    const script = `
      as() { setpriv --reuid 65534 --clear-groups -- sh -c "$1" 2>/dev/null; }
      as ': < /dev/udmabuf' || echo not opened
      chmod 0644 /dev/udmabuf
      as ': < /dev/udmabuf' && echo to be read
      as ': > /dev/udmabuf' || echo not to be written
      as 'chmod 0666 /dev/udmabuf' || echo not to be changed
      chown 65534 /dev/udmabuf
      as 'chmod 0666 /dev/udmabuf && : > /dev/udmabuf' && echo its own
      stat -c '%a %u' /dev/udmabuf`;
    const { stdout, stderr } = await run({}, 'sh', ['-c', script]);
    const told = ['not opened', 'to be read', 'not to be written', 'not to be changed', 'its own'];
    expect({ stdout, stderr }).toEqual({
      stdout: [...told, '666 65534', ''].join('\n'),
      stderr: '',
    });
  });

  test('is for every program under the kernel to see, and for no other', async () => {
    const { kernel, lines } = await names(['inode']);
    expect(lines).toContain('chmod 0: done');
    expect((await run(kernel, 'stat', ['-c', '%a', '/dev/udmabuf'])).stdout).toBe('0\n');
    expect((await run({}, 'stat', ['-c', '%a', '/dev/udmabuf'])).stdout).toBe('600\n');
  });
});

describe('a way that leads through ours to the machine', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-names-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test.each(LINKAGES)('is good for these calls too, at both ends (%s)', async (linkage) => {
    const { lines } = await names(['machine', folder], linkage);
    expect(lines).toEqual([
      'mkdir: done',
      'rename: done',
      'stat: done',
      '40750',
      'chmod: done',
      'utimensat: done',
      'statfs: done',
      'watch: done',
      'rename to ours: EXDEV',
      'link over ours: EEXIST',
      'rmdir: done',
      'mkfifo: done',
      'link: done',
      'unlink both: done',
      'symlink: done',
      'lchown: done',
      'unlink: done',
    ]);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('is one to pivot_root and mount as well; ours is not for them, nor for chroot', async () => {
    const { lines, kernel } = await names(['roots', folder]);
    const capabilities = /^CapEff:\t(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    const may = (capability: bigint) => (BigInt(`0x${capabilities}`) >> capability) & 1n;
    const [CAP_SYS_CHROOT, CAP_SYS_ADMIN] = [18n, 21n];
    const root = may(CAP_SYS_ADMIN);
    expect(lines).toEqual([
      'chroot to ours: EPERM',
      'chroot to a node: ENOTDIR',
      'chroot to nothing: ENOENT',
      `pivot_root to ours: ${root ? 'EINVAL' : 'EPERM'}`,
      `pivot_root to a node: ${root ? 'ENOTDIR' : 'EPERM'}`,
      'pivot_root by a way of ours: 1',
      'mount over ours: EPERM',
      'mount of ours: EPERM',
      'mount over nothing: ENOENT',
      `mount by a way of ours: ${root ? 'ENODEV' : 'EPERM'}`,
      'chroot to where it is: EPERM',
    ]);
    const said = kernel.dmesg().filter((line) => line.includes('cannot'));
    const changes = may(CAP_SYS_CHROOT) ? ['make /dev/dma_heap its root'] : [];
    const mounts = root ? Array(2).fill('mount at, or from, /dev/dma_heap') : [];
    expect(said.map((line) => /cannot (.*): that name/.exec(line)?.[1])).toEqual([
      ...changes,
      ...mounts,
      ...changes,
    ]);
  });

  asRoot('what is made in a directory of the machine’s is the machine’s', async () => {
    const name = `/dev/shm/dmabuf-shim-${process.pid}`;
    const script = `mkdir ${name} && ls -d ${name} && rmdir ${name} && test ! -e ${name} && echo gone`;
    expect((await run({}, 'sh', ['-c', script])).stdout).toBe(`${name}\ngone\n`);
  });
});

test('node’s fs finds ours as it finds files', async () => {
  const script = `
const fs = require('node:fs');
const code = (f) => { try { f(); return 'done'; } catch (error) { return error.code; } };
console.log(fs.realpathSync.native('/sys/class/dma_heap/system'));
console.log(fs.statfsSync('/sys/class/dma_heap').type.toString(16));
console.log(fs.readFileSync('/sys/class/misc/udmabuf/dev', 'utf8').trim());
console.log(fs.lstatSync('/sys/class/dma_heap/system').isSymbolicLink());
console.log(code(() => fs.mkdirSync('/dev/dma_heap')), code(() => fs.mkdirSync('/dev/dma_heap', { recursive: true })));
console.log(code(() => fs.renameSync('/sys/class/misc/udmabuf', '/sys/class/misc/other')));
fs.utimesSync('/dev/udmabuf', 1, 2.5);
console.log(fs.statSync('/dev/udmabuf').mtimeMs);
fs.chmodSync('/dev/udmabuf', 0o640);
console.log((fs.statSync('/dev/udmabuf').mode & 0o777).toString(8));
const watcher = fs.watch('/dev/udmabuf', (event) => { console.log('event', event); watcher.close(); });
fs.chmodSync('/dev/udmabuf', 0o600);
`;
  const { stdout, stderr } = await run({}, process.execPath, ['-e', script]);
  expect({ lines: stdout.trim().split('\n'), stderr }).toEqual({
    lines: [
      '/sys/devices/virtual/dma_heap/system',
      '62656572',
      '10:127',
      'true',
      'EEXIST done',
      uid === 0 ? 'EPERM' : 'EACCES',
      '2500',
      '640',
      'event change',
    ],
    stderr: '',
  });
});
