/** Files of Debian's package of Linux's source: they are GPL-2.0, and not kept here. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'vitest';
import { made } from './cache.js';
import { needs } from './programs.js';

const VERSION = '6.1';
const ARCHIVE = `/usr/src/linux-source-${VERSION}.tar.xz`;

/** What tests want of it: unpacked together, for it is the way through the archive that takes long. */
const WANTED = [
  'scripts/kernel-doc',
  'include/uapi/drm/drm.h',
  'include/uapi/drm/drm_mode.h',
  'tools/testing/selftests/kselftest.h',
  'tools/testing/selftests/dmabuf-heaps',
  'tools/testing/selftests/drivers/dma-buf',
  'tools/testing/selftests/sync',
];

/** For beforeEach: skips where the source, or one of the given commands, is not there. */
export function needsLinuxSource(...commands: [command: string, debianPackage: string][]) {
  const needsCommands = needs(['xz', 'xz-utils'], ...commands);
  return (context: TestContext): void => {
    needsCommands(context);
    const name = `linux-source-${VERSION}`;
    if (!existsSync(ARCHIVE)) context.skip(`there is no ${ARCHIVE} (Debian: apt install ${name})`);
  };
}

/** The folder that {@link WANTED} is in. */
export function linuxSource(): string {
  const tree = `linux-source-${VERSION}`;
  const { folder, error } = made(
    [`${statSync(ARCHIVE).mtimeMs}`],
    'archive=$1; shift; XZ_DEFAULTS=-T0 tar -xJf "$archive" "$@"',
    ...[ARCHIVE, ...WANTED.map((name) => `${tree}/${name}`)],
  );
  if (error !== undefined) throw new Error(`${ARCHIVE} cannot be unpacked: ${error}`);
  return join(folder, tree);
}
