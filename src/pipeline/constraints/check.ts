import * as format from './check-format.js';
import * as keywords from './check-keywords.js';
import * as length from './check-length.js';
import * as style from './check-style.js';
import * as voice from './check-voice.js';
import type { Constraint } from './constraint.js';
import { type Check, unsure, type Verdict } from './verdict.js';

const checks: ReadonlyMap<string, Check> = new Map([
  ['length_constraints:number_words', length.checkWords],
  ['length_constraints:number_sentences', length.checkSentences],
  ['length_constraints:number_paragraphs', length.checkParagraphs],
  ['length_constraints:nth_paragraph_first_word', length.checkNthParagraph],
  ['length_constraints:number_characters', length.checkCharacters],
  ['length_constraints:number_lines', length.checkLines],
  ['keywords:existence', keywords.checkExistence],
  ['keywords:forbidden_words', keywords.checkForbidden],
  ['keywords:frequency', keywords.checkFrequency],
  ['keywords:letter_frequency', keywords.checkLetter],
  ['detectable_format:json_format', format.checkJson],
  ['detectable_format:json_keys', format.checkJsonKeys],
  ['detectable_format:json_schema', format.checkJsonSchema],
  ['detectable_format:number_highlighted_sections', format.checkHighlights],
  ['detectable_format:number_bullet_lists', format.checkBullets],
  ['detectable_format:numbered_list', format.checkNumberedList],
  ['detectable_format:multiple_sections', format.checkSections],
  ['detectable_format:title', format.checkTitle],
  ['detectable_format:constrained_response', format.checkChoice],
  ['detectable_format:table', format.checkTable],
  ['detectable_format:code_block', format.checkCodeBlock],
  ['detectable_format:plain_text', format.checkPlainText],
  ['detectable_content:number_placeholders', format.checkPlaceholders],
  ['detectable_content:postscript', style.checkPostscript],
  ['detectable_content:no_emoji', style.checkNoEmoji],
  ['detectable_content:form_of_address', voice.checkAddress],
  ['detectable_content:citations', voice.checkCitations],
  ['combination:two_responses', format.checkTwoResponses],
  ['combination:repeat_prompt', style.checkRepeat],
  ['change_case:english_lowercase', style.checkLowercase],
  ['change_case:english_capital', style.checkUppercase],
  ['change_case:capital_word_frequency', style.checkCapitalWords],
  ['language:response_language', style.checkLanguage],
  ['punctuation:no_comma', style.checkNoComma],
  ['punctuation:forbidden_characters', style.checkForbiddenCharacters],
  ['startend:end_checker', style.checkEnd],
  ['startend:start_checker', style.checkStart],
  ['startend:quotation', style.checkQuotation],
]);

/** Every id that `checkConstraint` can judge. */
export const constraintIds: readonly string[] = [...checks.keys()];

/** Judges one constraint on an answer. Must not throw: an unknown id or unusable kwargs are unsure. */
export function checkConstraint(constraint: Constraint, answer: string): Verdict {
  const check = checks.get(constraint.id);
  if (!check) return unsure(`no check for ${constraint.id}`);
  return check(constraint, answer) ?? unsure('the constraint has no usable values');
}
