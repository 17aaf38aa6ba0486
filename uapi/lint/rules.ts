/**
 * The rules: how grave a violation is, and where Linux's documentation says so. `ioctl.rst` is
 * Documentation/driver-api/ioctl.rst ("ioctl based interfaces"), `botching-up-ioctls.rst` is
 * Documentation/process/botching-up-ioctls.rst, `ioctl-number.rst` is in Documentation/userspace-api/ioctl/.
 */

/**
 * An error breaks programs, or cannot be mended once there are programs; a warning is against what the documents
 * ask for; a note is a matter of judgement, or tells what could not be looked at.
 */
export type Severity = 'error' | 'warning' | 'note';

export interface Rule {
  readonly severity: Severity;
  /** Where it is written. */
  readonly section: string;
}

const error = (section: string): Rule => ({ severity: 'error', section });
const warning = (section: string): Rule => ({ severity: 'warning', section });
const note = (section: string): Rule => ({ severity: 'note', section });

const NUMBERS = 'ioctl.rst, "Command number definitions"';
const VERSIONS = 'ioctl.rst, "Interface versions"';
const RETURN = 'ioctl.rst, "Return code"';
const TIMESTAMPS = 'ioctl.rst, "Timestamps"';
const LAYOUT = 'ioctl.rst, "Structure layout"';
const LIST = 'ioctl-number.rst';
const PREREQUISITES = 'botching-up-ioctls.rst, "Prerequisites"';
const BASICS = 'botching-up-ioctls.rst, "Basics"';
const ERROR_PATHS = 'botching-up-ioctls.rst, "Fun with Error Paths"';
const TIME = 'botching-up-ioctls.rst, "Time, Waiting and Missing it"';
const LEAKS = 'botching-up-ioctls.rst, "Leaking Resources, Not"';
const FOREVER = 'botching-up-ioctls.rst, "Last, but not Least"';
const CUSTOM = "custom of Linux's headers";

export const RULES = {
  // The types of fields.
  'type-variable': error(PREREQUISITES),
  'type-plain': warning(PREREQUISITES),
  'type-enum': warning(LAYOUT),
  'type-bitfield': warning(LAYOUT),
  'pointer-32bit': error(PREREQUISITES),
  'string-bytes': note(LAYOUT),
  'fd-type': note(CUSTOM),
  'handle-type': note(CUSTOM),
  'array-count': warning(ERROR_PATHS),
  'array-flexible': note(NUMBERS),
  // Where fields lie.
  'layout-32bit': error(LAYOUT),
  'size-64bit': error(PREREQUISITES),
  'padding-implicit': error(PREREQUISITES),
  'padding-tail': error(PREREQUISITES),
  'align-natural': error(PREREQUISITES),
  packed: warning(LAYOUT),
  'size-oabi': note(LAYOUT),
  // Room for what comes later.
  'no-flags': warning(BASICS),
  'flags-undeclared': note(BASICS),
  'reserved-ignored': warning(BASICS),
  'version-field': warning(VERSIONS),
  'size-field': note(NUMBERS),
  // Time.
  'time-32bit': warning(TIMESTAMPS),
  'time-timeval': warning(TIMESTAMPS),
  'time-split': note(TIMESTAMPS),
  'time-clock': warning(TIME),
  'time-realtime': note(TIMESTAMPS),
  'time-relative': warning(TIME),
  'wait-poll': note(TIME),
  // Numbers.
  'number-duplicate': error(NUMBERS),
  'number-shared': warning(NUMBERS),
  'number-vfs': error(LIST),
  'type-terminal': warning(LIST),
  'type-socket': warning(LIST),
  'type-collision': warning(LIST),
  'size-limit': error(NUMBERS),
  'size-13bit': warning(NUMBERS),
  'size-mismatch': warning(NUMBERS),
  // Directions.
  'direction-copy': warning(NUMBERS),
  'direction-out-lost': error(NUMBERS),
  'direction-in-lost': error(NUMBERS),
  'direction-no-out': warning(NUMBERS),
  'direction-no-in': warning(NUMBERS),
  'direction-shared': note(NUMBERS),
  // Names and words.
  'name-case': warning(CUSTOM),
  'name-prefix': warning(CUSTOM),
  'name-ioc': note(CUSTOM),
  'name-struct': note(CUSTOM),
  'name-constant': note(CUSTOM),
  'name-keyword': warning(CUSTOM),
  'doc-missing': note(CUSTOM),
  'errors-missing': note(RETURN),
  'errors-unknown': error(RETURN),
  'errors-unfit': warning(RETURN),
  // Tried with the driver.
  'device-failed': error(ERROR_PATHS),
  'handler-bug': error(ERROR_PATHS),
  'handler-stuck': warning(ERROR_PATHS),
  undecided: note(ERROR_PATHS),
  'reserved-unchecked': error(BASICS),
  'flags-unchecked': error(BASICS),
  'value-unchecked': warning(ERROR_PATHS),
  'count-unchecked': warning(ERROR_PATHS),
  'pointer-unchecked': warning(ERROR_PATHS),
  'string-unterminated': note(ERROR_PATHS),
  'time-normalized': warning(TIME),
  'argument-fault': error(ERROR_PATHS),
  'size-unchecked': error(BASICS),
  'number-unknown': error(RETURN),
  'errno-undeclared': warning(ERROR_PATHS),
  'result-positive': note(RETURN),
  'argument-integer': note(NUMBERS),
  'direction-write-lost': error(NUMBERS),
  'direction-read-stale': error(NUMBERS),
  'direction-unwritten': warning(NUMBERS),
  'fd-cloexec': warning(LEAKS),
  // Compared with what was saved.
  'compat-removed': error(FOREVER),
  'compat-number': error(FOREVER),
  'compat-direction': error(FOREVER),
  'compat-size': error(BASICS),
  'compat-field': error(FOREVER),
  'compat-constant': error(FOREVER),
} as const satisfies Readonly<Record<string, Rule>>;

export type RuleId = keyof typeof RULES;

/** A violation of a rule. */
export interface Finding {
  readonly rule: RuleId;
  readonly severity: Severity;
  /** Where in the source; undefined where that is not known. */
  readonly place: { readonly file: string; readonly line: number } | undefined;
  /** `struct scaler_job, flags`; `SCALER_IOC_SCALE`. */
  readonly subject: string;
  readonly problem: string;
  readonly remedy: string;
  /** The document and its section. */
  readonly section: string;
}
