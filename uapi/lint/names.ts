/** Names, and the errnos that are documented. */
import { basename } from 'node:path';
import { _IOC_NONE } from '../../ioctl/index.js';
import { Errno } from '../../src/errno.js';
import type { LintedIoctl, Surface } from './surface.js';

/** What no field may be called: words of C, and of C++, which includes the header too. */
const KEYWORDS = new Set(
  `auto break case char const continue default do double else enum extern float for goto if inline int long
  register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
  alignas alignof and asm bitand bitor bool catch class compl concept constexpr decltype delete explicit export
  false friend mutable namespace new noexcept not nullptr operator or private protected public requires
  template this throw true try typeid typename using virtual xor`.split(/\s+/),
);

export function lintNames(surface: Surface): void {
  const prefix = commonPrefix(surface.ioctls.map(({ def }) => def.name));
  const { length } = surface.ioctls;
  if (prefix === '' && length > 1) {
    const names = surface.ioctls.map(({ def }) => def.name).join(', ');
    const problem = 'these requests have no prefix in common: headers are included together';
    surface.report(
      'name-prefix',
      { item: surface.ioctls[0]?.item },
      names,
      problem,
      "begin each with the device's name",
    );
  }
  const withIoc = surface.ioctls.filter(({ def }) => def.name.includes('IOC')).length;
  // Less than half of Linux's have it: what matters is that they go together.
  const wantsIoc = withIoc > length / 2;
  for (const one of surface.ioctls) lintIoctlName(surface, one, wantsIoc);
  if (prefix !== '') lintPrefix(surface, prefix);
  for (const struct of surface.structs) {
    if (struct.anonymous) continue;
    for (const { name } of struct.type.fields) {
      if (!KEYWORDS.has(name)) continue;
      const problem = 'a word of C or C++: a program with this header does not compile';
      surface.reportField(
        'name-keyword',
        struct,
        name,
        problem,
        `call it otherwise, such as ${name}_`,
      );
    }
  }
}

/**
 * What all begin with, in whole words, without IOC: `DMA_BUF_` of DMA_BUF_IOCTL_SYNC and DMA_BUF_SET_NAME;
 * of one alone, what is before IOC, or its first word.
 */
export function commonPrefix(names: readonly string[]): string {
  const [first = '', ...others] = names;
  const words = first.split('_').slice(0, -1);
  let n = 0;
  if (others.length === 0)
    n = words.some(isIoc) ? words.findIndex(isIoc) : Math.min(1, words.length);
  else {
    const shared = (count: number) => `${words.slice(0, count).join('_')}_`;
    while (
      n < words.length &&
      !isIoc(words[n] ?? '') &&
      others.every((name) => name.startsWith(shared(n + 1)))
    )
      n++;
  }
  return n === 0 ? '' : `${words.slice(0, n).join('_')}_`;
}

const isIoc = (word: string) => word === 'IOC' || word === 'IOCTL';

function lintIoctlName(surface: Surface, one: LintedIoctl, wantsIoc: boolean): void {
  const { def, doc } = one;
  if (!/^[A-Z][A-Z0-9_]*$/.test(def.name)) {
    surface.report(
      'name-case',
      one,
      def.name,
      'a macro that is not in upper case',
      `call it ${def.name.replace(/([a-z])([A-Z])/g, '$1_$2').toUpperCase()}`,
    );
  } else if (wantsIoc && !def.name.includes('IOC')) {
    surface.report(
      'name-ioc',
      one,
      def.name,
      'its name does not say that it is a request, as those of most others here do',
      'put IOC or IOCTL behind the prefix, too: SCALER_IOC_SCALE',
    );
  }
  if (def.errors) lintErrors(surface, one, def.errors);
  else if (def.dir !== _IOC_NONE && !namesErrno(doc ?? '')) {
    const remedy = "say each in the documentation, or `{ errors: ['EINVAL'] }`";
    surface.report(
      'errors-missing',
      one,
      def.name,
      'it is not documented with which errnos it fails',
      remedy,
    );
  }
}

function namesErrno(text: string): boolean {
  return (text.match(/\bE[A-Z0-9]+\b/g) ?? []).some((word) => word in Errno);
}

function lintErrors(surface: Surface, one: LintedIoctl, errors: readonly string[]): void {
  const { name } = one.def;
  const unknown = errors.filter((error) => !(error in Errno));
  if (unknown.length > 0) {
    surface.report(
      'errors-unknown',
      one,
      name,
      `${unknown.join(', ')}: there is no such errno`,
      'write it as errno(3) does',
    );
  }
  if (errors.includes('ENOSYS') || errors.includes('ENOIOCTLCMD')) {
    const problem = 'ENOSYS is for system calls that there are not';
    surface.report(
      'errors-unfit',
      one,
      name,
      problem,
      'ENOTTY for a request that there is not, EOPNOTSUPP for what this device cannot do',
    );
  }
}

/** What names may begin with: as the requests do, or as the file or its devices are called. */
function prefixes(surface: Surface, prefix: string): string[] {
  const { file, devices } = surface.uapi;
  const own = [basename(file), ...devices.map(({ name }) => name)].map((name) =>
    name
      .replace(/\.[^.]*$/, '')
      .replace(/\W|-/g, '_')
      .toUpperCase(),
  );
  // WDIOC_SETTIMEOUT, WDIOF_MAGICCLOSE
  return [prefix.replace(/IOC_$/, '').toUpperCase(), ...own];
}

function lintPrefix(surface: Surface, prefix: string): void {
  const allowed = prefixes(surface, prefix);
  const starts = (name: string) =>
    allowed.some((one) => name.toUpperCase().replace(/^_+/, '').startsWith(one.replace(/_$/, '')));
  for (const constant of surface.constants) {
    if (starts(constant.name)) continue;
    const problem = `a macro without the prefix ${prefix}: headers are included together`;
    const remedy = `call it ${prefix}${constant.name}`;
    surface.report('name-constant', { item: constant }, constant.name, problem, remedy);
  }
  const lower = prefix.toLowerCase();
  for (const struct of surface.structs) {
    const { tag } = struct.type;
    if (tag === '' || starts(tag)) continue;
    const problem = `a tag without the prefix ${lower}: headers are included together`;
    surface.report('name-struct', struct, struct.label, problem, `call it ${lower}${tag}`);
  }
}
