/** Structs that system calls write, as this machine's kernel lays them out. */
import { arch } from 'node:os';
import { array, s32, s64, struct, u16, u32, u64 } from '../../ioctl/index.js';
import { major, minor } from '../fs/dev_t.js';
import { Stat } from '../native.js';

const times = {
  st_atime: s64,
  st_atime_nsec: u64,
  st_mtime: s64,
  st_mtime_nsec: u64,
  st_ctime: s64,
  st_ctime_nsec: u64,
};

/** struct stat of <asm/stat.h> on x86-64. */
const stat_x64 = struct('stat', {
  st_dev: u64,
  st_ino: u64,
  st_nlink: u64,
  st_mode: u32,
  st_uid: u32,
  st_gid: u32,
  __pad0: u32,
  st_rdev: u64,
  st_size: s64,
  st_blksize: s64,
  st_blocks: s64,
  ...times,
  __unused: array(s64, 3),
});

/** struct stat of <asm-generic/stat.h>, which arm64 uses. */
const stat_generic = struct('stat', {
  st_dev: u64,
  st_ino: u64,
  st_mode: u32,
  st_nlink: u32,
  st_uid: u32,
  st_gid: u32,
  st_rdev: u64,
  __pad1: u64,
  st_size: s64,
  st_blksize: s32,
  __pad2: s32,
  st_blocks: s64,
  ...times,
  __unused: array(u32, 2),
});

/** struct stat with the given fields. */
export function packStat(fields: Float64Array): Uint8Array {
  const at = (index: number) => fields[index] as number;
  const big = (index: number) => BigInt(at(index));
  const common = {
    st_dev: big(Stat.dev),
    st_ino: big(Stat.ino),
    st_mode: at(Stat.mode),
    st_uid: at(Stat.uid),
    st_gid: at(Stat.gid),
    st_rdev: big(Stat.rdev),
    st_size: big(Stat.size),
    st_blocks: big(Stat.blocks),
    st_atime: big(Stat.atimeSec),
    st_atime_nsec: big(Stat.atimeNsec),
    st_mtime: big(Stat.mtimeSec),
    st_mtime_nsec: big(Stat.mtimeNsec),
    st_ctime: big(Stat.ctimeSec),
    st_ctime_nsec: big(Stat.ctimeNsec),
  };
  if (arch() === 'x64') {
    const [st_nlink, st_blksize] = [big(Stat.nlink), big(Stat.blksize)];
    return stat_x64.create({ ...common, st_nlink, st_blksize }).bytes;
  }
  const [st_nlink, st_blksize] = [at(Stat.nlink), at(Stat.blksize)];
  return stat_generic.create({ ...common, st_nlink, st_blksize }).bytes;
}

const statx_timestamp = struct('statx_timestamp', { tv_sec: s64, tv_nsec: u32, __reserved: s32 });

/** struct statx of <linux/stat.h>, as of Linux 6.1. */
const statx = struct('statx', {
  stx_mask: u32,
  stx_blksize: u32,
  stx_attributes: u64,
  stx_nlink: u32,
  stx_uid: u32,
  stx_gid: u32,
  stx_mode: u16,
  __spare0: u16,
  stx_ino: u64,
  stx_size: u64,
  stx_blocks: u64,
  stx_attributes_mask: u64,
  stx_atime: statx_timestamp,
  stx_btime: statx_timestamp,
  stx_ctime: statx_timestamp,
  stx_mtime: statx_timestamp,
  stx_rdev_major: u32,
  stx_rdev_minor: u32,
  stx_dev_major: u32,
  stx_dev_minor: u32,
  __spare: array(u64, 14),
});

const STATX_BASIC_STATS = 0x7ff;

/** struct statx with the given fields: STATX_BASIC_STATS, no more. */
export function packStatx(fields: Float64Array): Uint8Array {
  const at = (index: number) => fields[index] as number;
  const big = (index: number) => BigInt(at(index));
  const time = (sec: number) => ({ tv_sec: big(sec), tv_nsec: at(sec + 1) });
  return statx.create({
    stx_mask: STATX_BASIC_STATS,
    stx_blksize: at(Stat.blksize),
    stx_nlink: at(Stat.nlink),
    stx_uid: at(Stat.uid),
    stx_gid: at(Stat.gid),
    stx_mode: at(Stat.mode),
    stx_ino: big(Stat.ino),
    stx_size: big(Stat.size),
    stx_blocks: big(Stat.blocks),
    stx_atime: time(Stat.atimeSec),
    stx_ctime: time(Stat.ctimeSec),
    stx_mtime: time(Stat.mtimeSec),
    stx_rdev_major: major(at(Stat.rdev)),
    stx_rdev_minor: minor(at(Stat.rdev)),
    stx_dev_major: major(at(Stat.dev)),
    stx_dev_minor: minor(at(Stat.dev)),
  }).bytes;
}

/** struct statfs of <asm-generic/statfs.h>. */
const statfs = struct('statfs', {
  f_type: s64,
  f_bsize: s64,
  f_blocks: u64,
  f_bfree: u64,
  f_bavail: u64,
  f_files: u64,
  f_ffree: u64,
  f_fsid: array(s32, 2),
  f_namelen: s64,
  f_frsize: s64,
  f_flags: s64,
  f_spare: array(s64, 4),
});

/** How much a file system has room for, and how much of that is free. */
interface Room {
  blocks: number;
  bfree: number;
  bavail: number;
  files: number;
  ffree: number;
}

/** struct statfs; of a file system that holds nothing but open files it says nothing of room. */
export function packStatfs(type: number, room?: Room): Uint8Array {
  return statfs.create({
    f_type: BigInt(type),
    ...{ f_bsize: 4096n, f_namelen: 255n, f_frsize: 4096n },
    ...(room && {
      f_blocks: BigInt(room.blocks),
      f_bfree: BigInt(room.bfree),
      f_bavail: BigInt(room.bavail),
      f_files: BigInt(room.files),
      f_ffree: BigInt(room.ffree),
    }),
  }).bytes;
}
