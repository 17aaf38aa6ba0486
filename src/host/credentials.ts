/** Who a thread is, and what it may do. */
import { native } from '../native.js';
import { statusOf } from './status.js';

/** struct cred, as far as it is shown. Ids are those of this process's user namespace. */
export interface Credentials {
  uid: number;
  euid: number;
  suid: number;
  /** What files are looked at with: mostly `euid`. */
  fsuid: number;
  gid: number;
  egid: number;
  sgid: number;
  fsgid: number;
  /** Supplementary groups. */
  groups: readonly number[];
  /** Effective capabilities, a bit each. */
  effective: bigint;
}

const NOBODY = 65534;

export function credentialsOf(tid: number): Credentials {
  const status = statusOf(tid);
  const [uid = NOBODY, euid = NOBODY, suid = NOBODY, fsuid = NOBODY] = status.numbers('Uid');
  const [gid = NOBODY, egid = NOBODY, sgid = NOBODY, fsgid = NOBODY] = status.numbers('Gid');
  return {
    ...{ uid, euid, suid, fsuid, gid, egid, sgid, fsgid },
    groups: status.numbers('Groups'),
    effective: status.mask('CapEff'),
  };
}

/**
 * capable(): whether a thread has a capability, in the user namespace that this process is in. Those of a namespace
 * that a program made for itself are good for nothing but that.
 */
export function isCapable(tid: number, capability: number): boolean {
  const has = (statusOf(tid).mask('CapEff') >> BigInt(capability)) & 1n;
  return has === 1n && userNamespace(tid) === userNamespace(process.pid);
}

/** What /proc shows of it; that of who does not let us look is taken for ours. */
function userNamespace(tid: number): string {
  const link = native.readlink(`/proc/${tid}/ns/user`);
  if (typeof link === 'string') return link;
  return tid === process.pid ? '' : userNamespace(process.pid);
}

/** umask(2) of a thread. */
export function umaskOf(tid: number): number {
  // The field is octal.
  return Number.parseInt(String(statusOf(tid).number('Umask')), 8);
}
