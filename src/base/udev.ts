/**
 * What udevd would do about devices of this kernel: its database in /run/udev, links to nodes, and its events, which
 * follow the kernel's. systemd: src/udev, src/libsystemd/sd-device.
 */
import type { KernelCore } from '../core.js';
import { errno } from '../errno.js';
import { type Directory, FileNode, GeneratedFile, S_IFSOCK, Symlink } from '../fs/tree.js';
import { PerKernel } from '../per_kernel.js';
import { BaseDevice, splitPath } from './core.js';
import { onUevent, type Uevent, ueventSeqnum } from './kobject_uevent.js';
import { GROUP_KERNEL, GROUP_UDEV, ueventSocketsOf } from './netlink.js';
import { relativeLink } from './sysfs.js';
import { udevMessage } from './udev_message.js';
import type { UdevInfo } from './udev_rules.js';

/** What udevd knows of a device. */
interface Entry {
  /** When it was first seen: µs of CLOCK_MONOTONIC. */
  readonly initialized: bigint;
  properties: Readonly<Record<string, string>>;
  /** All that it has ever had, and those that it has now. */
  readonly tags: Set<string>;
  currentTags: readonly string[];
  links: readonly string[];
}

const databases = new PerKernel<KernelCore, Map<string, Entry>>(() => new Map());

/** Has the kernel's events go to programs, and udevd's after them. */
export function udevInit(kernel: KernelCore): void {
  const { root } = kernel;
  const run = root.mkdir('run/udev');
  run.mkdir('data');
  run.mkdir('tags');
  // libudev takes its being there for udevd's.
  run.add('control', new FileNode({ mode: S_IFSOCK | 0o600, f_op: { open } }));
  const seqnum = new GeneratedFile(() => `${ueventSeqnum(kernel)}\n`, 4096);
  root.mkdir('sys/kernel').add('uevent_seqnum', seqnum);
  const sockets = ueventSocketsOf(kernel);
  onUevent(kernel, (event) => {
    const entry = event.kobj instanceof BaseDevice ? update(kernel, event, event.kobj) : undefined;
    if (sockets.size === 0) return;
    const { action, kobj, vars } = event;
    const text = [`${action}@${kobj.devpath}`, ...vars, ''].join('\0');
    sockets.broadcast(GROUP_KERNEL, Buffer.from(text));
    sockets.broadcast(GROUP_UDEV, udevMessage(propertiesOf(event, entry), entry?.tags ?? []));
  });
}

function open(): never {
  throw errno('ENXIO');
}

/** device_get_device_id(): what its entry is called. */
export function deviceId(dev: BaseDevice): string {
  const { devt, isBlock, name, subsystem } = dev;
  return devt ? `${isBlock ? 'b' : 'c'}${devt.major}:${devt.minor}` : `+${subsystem}:${name}`;
}

/** Takes note of what has become of a device; what was last known of one that has gone. */
function update(kernel: KernelCore, { action }: Uevent, dev: BaseDevice): Entry {
  const { root } = kernel;
  const database = databases.of(kernel);
  const id = deviceId(dev);
  const known = database.get(id);
  if (action === 'remove') {
    const gone = known ?? newEntry();
    database.delete(id);
    unpublish(root, id, gone, dev);
    return gone;
  }
  const entry = known ?? newEntry();
  if (known) unpublish(root, id, known, dev);
  const { properties = {}, tags = [], links = [] } = infoOf(dev);
  for (const tag of tags) entry.tags.add(tag);
  Object.assign(entry, { properties, currentTags: tags, links: dev.devnode ? links : [] });
  database.set(id, entry);
  publish(root, id, entry, dev);
  return entry;
}

function newEntry(): Entry {
  const initialized = process.hrtime.bigint() / 1000n;
  return { initialized, properties: {}, tags: new Set(), currentTags: [], links: [] };
}

function infoOf(dev: BaseDevice): UdevInfo {
  const { bus, class: cls, type } = dev;
  return type?.udev?.(dev) ?? cls?.init.udev?.(dev) ?? bus?.init.udev?.(dev) ?? {};
}

/** device_update_db(), device_tag_index(), and the links. */
function publish(root: Directory, id: string, entry: Entry, dev: BaseDevice): void {
  const { initialized, properties, tags, currentTags, links } = entry;
  const isEmpty = tags.size === 0 && links.length === 0 && Object.keys(properties).length === 0;
  if (isEmpty && !dev.devt) return;
  const lines = [
    ...links.map((link) => `S:${link}`),
    `I:${initialized}`,
    ...Object.entries(properties).map(([key, value]) => `E:${key}=${value}`),
    ...[...tags].map((tag) => `G:${tag}`),
    ...currentTags.map((tag) => `Q:${tag}`),
    'V:1',
  ];
  // That it is there says that udevd has seen the device.
  const text = isEmpty ? '' : lines.map((line) => `${line}\n`).join('');
  root.mkdir('run/udev/data').add(id, new GeneratedFile(() => text, text.length, 0o644));
  for (const tag of tags) {
    root.mkdir(`run/udev/tags/${tag}`).add(id, new GeneratedFile(() => '', 0, 0o444));
  }
  for (const link of [...numberLinks(dev), ...links]) {
    const [directory, base] = splitPath(`dev/${link}`);
    const target = relativeLink(`/${directory}`, `/dev/${dev.devnode?.name}`);
    root.mkdir(directory).add(base, new Symlink(target));
  }
}

/** What is at its number, below /dev; the database does not have it. */
function numberLinks({ devt, devnode, isBlock }: BaseDevice): string[] {
  return devt && devnode ? [`${isBlock ? 'block' : 'char'}/${devt.major}:${devt.minor}`] : [];
}

function unpublish(root: Directory, id: string, { tags, links }: Entry, dev: BaseDevice): void {
  root.mkdir('run/udev/data').delete(id);
  for (const tag of tags) root.mkdir(`run/udev/tags/${tag}`).delete(id);
  for (const link of [...numberLinks(dev), ...links]) {
    const [directory, base] = splitPath(`dev/${link}`);
    root.mkdir(directory).delete(base);
  }
}

/** What udevd says of an event: what the kernel says, and what it knows itself. */
function propertiesOf({ vars }: Uevent, entry: Entry | undefined): Map<string, string> {
  const properties = new Map<string, string>();
  for (const text of vars) {
    const equals = text.indexOf('=');
    const [key, value] = [text.slice(0, equals), text.slice(equals + 1)];
    properties.set(key, key === 'DEVNAME' ? `/dev/${value}` : value);
  }
  if (!entry) return properties;
  const { initialized, tags, currentTags, links } = entry;
  properties.set('USEC_INITIALIZED', String(initialized));
  for (const [key, value] of Object.entries(entry.properties)) properties.set(key, value);
  if (links.length > 0) {
    properties.set('DEVLINKS', links.map((link) => `/dev/${link}`).join(' '));
  }
  const list = (names: Iterable<string>) => `:${[...names].join(':')}:`;
  if (tags.size > 0) properties.set('TAGS', list(tags));
  if (currentTags.length > 0) properties.set('CURRENT_TAGS', list(currentTags));
  return properties;
}
