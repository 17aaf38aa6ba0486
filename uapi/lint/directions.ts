/** Whether the direction of a request is that of what its argument is documented to carry. */
import type { StructType } from '../../ioctl/index.js';
import { isStruct } from '../types.js';
import {
  isReserved,
  type LintedIoctl,
  type LintedStruct,
  reads,
  type Surface,
  writes,
} from './surface.js';

export function lintDirections(surface: Surface): void {
  for (const one of surface.ioctls) {
    lintCopy(surface, one);
    if (isStruct(one.def.arg)) lintArgument(surface, one, one.def.arg);
  }
  for (const struct of surface.structs) lintShared(surface, struct);
}

const MACROS = ['_IO', '_IOW', '_IOR', '_IOWR'];

function lintCopy(surface: Surface, one: LintedIoctl): void {
  const { copy, dir, name } = one.def;
  if (copy === undefined || copy === dir) return;
  const problem = `its number says ${MACROS[dir]}, but what is copied is that of ${MACROS[copy]}: strace, valgrind and sanitizers go by the number`;
  surface.report('direction-copy', one, name, problem, 'let the number say what is copied');
}

function lintArgument(surface: Surface, one: LintedIoctl, type: StructType): void {
  const { def } = one;
  const fields = type.fields
    .filter(
      (field) =>
        !isReserved(field, surface.docOf(type, field)) || surface.directionOf(type, field)?.out,
    )
    .map((field) => ({ name: field.name, direction: surface.directionOf(type, field) }));
  const ins = fields.filter(({ direction }) => direction?.in).map(({ name }) => name);
  const outs = fields.filter(({ direction }) => direction?.out).map(({ name }) => name);
  const report = (rule: Parameters<Surface['report']>[0], problem: string, remedy: string) =>
    surface.report(rule, one, def.name, problem, remedy);
  // What another request gets or sets is said of the field, too.
  const others = surface.structs.find((struct) => struct.type === type)?.users ?? [];
  const users = [def, ...others];
  if (writes(def) && !users.some(reads) && outs.length > 0) {
    report(
      'direction-out-lost',
      `${outs.join(', ')}: documented as out, but _IOW copies nothing out`,
      'make it `iowr`',
    );
  }
  if (reads(def) && !users.some(writes) && ins.length > 0) {
    report(
      'direction-in-lost',
      `${ins.join(', ')}: documented as in, but _IOR copies nothing in`,
      'make it `iowr`',
    );
  }
  // Where a field does not say, it may go either way.
  const allSay = fields.length > 0 && fields.every(({ direction }) => direction !== undefined);
  if (!reads(def) || !writes(def) || !allSay) return;
  if (outs.length === 0)
    report(
      'direction-no-out',
      'an _IOWR none of whose fields is documented as out',
      'make it `iow`',
    );
  if (ins.length === 0 && !takesReserved(surface, type)) {
    report('direction-no-in', 'an _IOWR none of whose fields is documented as in', 'make it `ior`');
  }
}

/** A reserved field has to be copied in to be checked. */
function takesReserved(surface: Surface, type: StructType): boolean {
  return type.fields.some((field) => isReserved(field, surface.docOf(type, field)));
}

function lintShared(surface: Surface, struct: LintedStruct): void {
  const directions = new Set(struct.users.map((def) => def.dir));
  if (directions.size < 2) return;
  const names = struct.users.map((def) => def.name).join(', ');
  const problem = `${names} take it in different directions: what is in and what is out cannot be said of a field`;
  surface.report(
    'direction-shared',
    struct,
    struct.label,
    problem,
    'give each its own struct, unless one gets what the other sets',
  );
}
