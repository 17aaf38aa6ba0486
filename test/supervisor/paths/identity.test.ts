/** Descriptors of links, directories and attributes of ours say what they are, and names relative to them lead on. */
import { mkdtempSync, readdirSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LINKAGES, needsCompiler, program } from '../../programs.js';
import { run, testKernel } from '../../run.js';

beforeEach(needsCompiler);

const SYSFS_MAGIC = '62656572';
const DEVICE = '/sys/devices/virtual/dma_heap/system';
const NUMBER = '/sys/devices/virtual/misc/udmabuf/dev';

/** What a program says, line by line. */
async function lines(name: string, args: string[], linkage: (typeof LINKAGES)[number]) {
  const { status, stdout, stderr } = await run({}, program(name, linkage), args);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout.trim().split('\n');
}

describe.each(LINKAGES)('a %s program', (linkage) => {
  test('opens a link of sysfs itself, with O_PATH', async () => {
    expect(await lines('identity', ['links'], linkage)).toEqual([
      `link: link /sys/class/dma_heap/system, ${SYSFS_MAGIC}`,
      'readlinkat: done',
      'to ../../devices/virtual/dma_heap/system',
      'read: EBADF',
      'ioctl: EBADF',
      'above it: ENOTDIR',
      'below it: ENOTDIR',
      `through /proc by name only: link /sys/class/dma_heap/system, ${SYSFS_MAGIC}`,
      'through /proc: ELOOP',
      'not followed: ELOOP',
      'as a directory: ENOTDIR',
    ]);
  });

  test('goes through sysfs one component at a time, as libudev does, and back', async () => {
    const directory = (path: string) => `directory ${path}, ${SYSFS_MAGIC}`;
    const file = (path: string) => `file ${path}, ${SYSFS_MAGIC}`;
    expect(await lines('identity', ['steps'], linkage)).toEqual([
      `sys: ${directory('/sys')}`,
      `devices: ${directory('/sys/devices')}`,
      `virtual: ${directory('/sys/devices/virtual')}`,
      `dma_heap: ${directory('/sys/devices/virtual/dma_heap')}`,
      `system: ${directory(DEVICE)}`,
      `subsystem: link ${DEVICE}/subsystem, ${SYSFS_MAGIC}`,
      'uevent is there: done',
      'so is the directory: done',
      'nothing else is: ENOENT',
      `to be listed: ${directory(DEVICE)}`,
      `up: ${directory('/sys/devices/virtual/dma_heap')}`,
      `up and down: ${file(NUMBER)}`,
      'through /proc: ENOTDIR',
      `below what is open: ${file(`${DEVICE}/uevent`)}`,
      'change into it: done',
      DEVICE,
      `here: ${file(`${DEVICE}/dev`)}`,
    ]);
  });

  test('reads an attribute from a descriptor that says which it is', async () => {
    expect(await lines('identity', ['attributes'], linkage)).toEqual([
      `attribute: file ${NUMBER}, ${SYSFS_MAGIC}`,
      `again by name only: file ${NUMBER}, ${SYSFS_MAGIC}`,
      `again: file ${NUMBER}, ${SYSFS_MAGIC}`,
      'to be written: EACCES',
      'size 4096 mode 100444',
      'read 10:127',
      'then 0',
      'end 4096',
      'again 10:127',
      'map: ENODEV',
      'cut: EINVAL',
    ]);
  });
});

describe('an attribute', () => {
  test('is made anew for who seeks to its start and reads again', async () => {
    const kernel = testKernel();
    let count = 0;
    kernel.addCharDevice({
      ...{ name: 'counter', className: 'counter', major: 240, minor: 0, mode: 0o600, f_op: {} },
      attributes: { count: { show: () => `${++count}\n` } },
    });
    const path = '/sys/class/counter/counter/count';
    const { stdout } = await run(kernel, program('identity'), ['twice', path]);
    const real = '/sys/devices/virtual/counter/counter/count';
    expect(stdout).toBe(`1\n2\nof: file ${real}, ${SYSFS_MAGIC}\n`);
  });
});

describe.each(['chroot', 'bound'])('where /dev and /sys are by another way (%s)', (how) => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-jail-'));
  });
  afterEach(() => {
    // Not with what is in it: that might be mounted.
    for (const name of readdirSync(folder)) rmdirSync(join(folder, name));
    rmdirSync(folder);
  });

  test.for(LINKAGES)('ours are found by relative paths (%s)', async (linkage, { skip }) => {
    const { status, stdout } = await run({}, program('jail', linkage), [how, folder]);
    if (status === 2) skip('mounts of its own are not allowed here');
    expect(stdout.trim().split('\n')).toEqual([
      'into it: done',
      'from the top: node',
      'by the link of the root: node',
      'by that of the directory: directory',
      'by a relative path: node',
      'of sysfs: directory',
      'change to dev: done',
      'there: node',
      'opened: done',
      'of the machine: node',
      'of nobody: ENOENT',
      'listed 1 1',
      'from a descriptor: node',
      'out of it: done',
      'the way around: node',
      'attribute: done',
      '10:127',
      'up: done',
      'into ours: done',
      DEVICE,
    ]);
  });
});
