"""Cues that keep a sentence from asserting its content, by the category that they give it.

The categories are those of ConText (Harkema et al., J Biomed Inform 2009: negated, hypothetical, historical,
experienced by others), refined for papers; the words are our own. One cue per line, as patterns over folded text in
which the mentions of a claim's ends are written `S` and `O`; `~` is at most one word, `~~` up to three.
"""

from __future__ import annotations

import re
from collections.abc import Mapping


def cues(lines: str) -> re.Pattern[str]:
    """The pattern for a list of cues; a line that starts with `|` continues the line before."""
    listed = lines.strip().replace("\n|", "|").splitlines()
    joined = "|".join(listed).replace("~~ ", r"(?:\S+ ){0,3}?").replace("~ ", r"(?:\S+ )?")
    return re.compile(rf"(?:(?<=\W)|^)(?:{joined})(?=\W|$)")


_WORK = "(?:stud(?:y|ies)|trials?|works?|investigations?|experiments?|projects?|papers?|surveys?|articles?|reviews?)"
_PROBE = (
    "(?:investigate|determine|assess|evaluate|examine|study|explore|test|compare|measure|find|see|learn|establish"
    "|elucidate|clarify|estimate|quantify|characteri[sz]e|describe|identify|analy[sz]e|define|address|verify|know"
    "|understand|look for|show|demonstrate|reproduce|check|ascertain|search|probe|prove|confirm|discover|review)"
)
_MEASURED = (
    "(?:examined|assessed|scored|rated|measured|monitored|evaluated|graded|interviewed|reviewed|searched|screened"
    "|followed|randomi[sz]ed|assigned|allocated|eligible|recruited|enrolled|defined|determined|titrated|injected"
    "|infused|administered|analy[sz]ed|checked|tested|questioned|surveyed|stratified|matched|studied|quantified"
    "|investigated|sampled|withheld|asked|selected|included|excluded|calculated|estimated|classified|treated)"
)

RELIEF = cues(r"""
less ~ likely to \w+
(?:lower|lesser|smaller|reduced|decreased) ~ (?:risk|incidence|rates?|frequency|prevalence|likelihood|odds
|numbers?|severity|chance) of(?: developing)?
prevent\w*
protect\w*
reduc(?!tase)\w*
attenuat\w*
alleviat\w*
reliev\w*
relief
ameliorat\w*
suppress(?!ant)\w*
abolish\w*
antagoni[sz]\w*
revers(?:e|ed|es|ing|al)
terminat\w*
improv\w*
subsid\w*
cur(?:e|ed|es|ing|ative)
treat(?:ment|s|ed|ing)? ~ (?:of|for)
treats
spar(?:e|ed|es|ing)
shield\w*
inhibit(?:s|ed|ing|ion)?
decreas\w*
diminish\w*
lessen\w*
eas(?:e|ed|es|ing)
resol(?:ve|ved|ves|ving|ution)
recover\w*
heal\w*
remi(?:t|ts|tted|ssion|ssions)
lower(?:s|ed|ing)
(?:was|were|is|are|significantly|been) lower
block(?:ed|s|ing)
ward(?:s|ed)? off
counter(?:s|ed|act\w*)
less
fewer
fell
benefi\w*
control(?:s|led|ling)
disappear\w*
clear(?:s|ed|ing)
halt\w*
mitigat\w*
avert\w*
stop(?:s|ped)
curb\w*
cut
minimi[sz]\w*
rescu\w*
settle[sd]?
vanish\w*
end(?:s|ed)(?! in)
slow\w*
blunt\w*
delay\w*
damp\w*
lift(?:s|ed)
drop(?:s|ped)
limit(?:s|ed)
weaken\w*
neutrali[sz]\w*
offsets?
outperform\w*
anti\w+ (?:effects?|actions?|activity|properties)
ceased?
correct(?:s|ed|ing|ion)
normali[sz]\w*
restor\w*
respond\w*
respons(?:e|es|ive)
overc[ao]me
shorten\w*
useful
helpful
help(?:s|ed|ing)?
success\w*
effective\w*
efficac\w*
superior
better
free
abat\w*
wan(?:ed|es)
arrest(?:s|ed)
eliminat\w*
eradicat\w*
favou?rabl\w*
advantage\w*
palliat\w*
sooth\w*
calm\w*
quell\w*
keeps? ~ away
clearance
remov(?:es|ed|ing)
earlier
shorter
milder
faster
smaller
""")
"""Words for a decrease or an improvement."""

HARM = cues(r"""
caus(?:e|ed|es|ing|al|ally|ation)
induc\w*
provo[kc]\w*
trigger\w*
produc(?!t|ts\b)\w*
precipitat\w*
elicit\w*
evok\w*
(?:lead|leads|leading|led) to
(?:gives?|gave|given|giving) rise to
(?:brings?|bringing|brought) (?:on|about)
result(?:s|ed|ing)? (?:in|from)
develop\w*
aggravat\w*
worse\w*
exacerbat\w*
flar(?:e|ed|es|ing)
deepen\w*
accelerat\w*
heighten\w*
intensif\w*
increas\w*
prolong\w*
(?:doubl|tripl)(?:e|ed|es|ing)
(?:side|adverse|toxic|untoward) (?:effects?|events?|reactions?)
complicat\w*
due to
responsible for
attribut\w*
more (?:severe|frequent|common|intense|often)
toxicity
unmask\w*
promot\w*
potentiat\w*
enhanc\w*
initiat\w*
secondary to
appear(?:ed|ance)
occur\w*
emerg\w*
arose
ensu\w*
sustained
suffer\w*
experienc\w*
deteriorat\w*
relaps\w*
recur\w*
generat\w*
creat(?!in)\w*
contribut\w*
end(?:s|ed|ing) in
culminat\w*
(?:was|were|is|are|be) the ~ (?:cause|reason)
""")
"""Words for an onset or an increase."""

OUTCOME = cues(r"""
observed
seen
noted
found
went into
had
manifest\w*
showed
reveal\w*
became
following
complication
associated with
risks? (?:of|for|factors?)
p ?[<=]
predict(?:s|ed)
present(?:ed|ing)
reported with
was common
complain\w*
\d+(?:\.\d+)? ?%
\d+ (?:of|out of) (?:the )?\d+
""")
"""Words that report a result, besides those that name an effect."""

LINK = re.compile(
    r"O\b[^;]{0,90}\b(?:after|following|during|with|under|related to|associated with|to|from|of|on|in)"
    r" \W?(?:\S+ ){0,6}?\W?S\b"
    r"|\bS (?:\S+ )?(?:O|abuse|abusers?|users?|toxicity|poisoning|overdose|intoxication|withdrawal)\b|S \S+ of O\b"
    r"|because of O|\b(?:report|describe|present)\b.*\b(?:cases?|patients?|woman|man|child|episodes?)\b"
)
"""Ways in which a title or a short phrase says that one accompanies the other."""

STOP = cues(r"""
but
however
whereas
although
though
nevertheless
nonetheless
yet(?! to)
while
instead
""")
"""Words that end the scope of a cue, in either direction; a semicolon does too."""

FOUND = cues(r"""
(?:we|they|results?|data|findings?|analys[ie]s|case|these|this) ~ (?:found|show|shows|showed|demonstrate[sd]?
|observed?|conclude[sd]?|confirm(?:s|ed)?|reveal(?:s|ed)?|proved?|indicate[sd]?) ~ that
(?<!to )(?<!have )(?<!has )found that
""")
"""Phrases with which a paper turns to its findings: earlier hypotheses, aims and methods end there."""

ASIDE = re.compile(
    r"(?:^|(?<=\W))(?:contrary to|unlike|in contrast (?:to|with)|consistent with"
    r"|in (?:line|keeping|agreement|accord) with|as (?:had been |was |were |we )?(?:expected|predicted|anticipated"
    r"|hypothesi[sz]ed)|to (?:the best of )?our knowledge"
    r"|in addition to|apart from|in spite of"
    r"|although|though|even though|while|whereas)\b[^,;SO]*,"
)
"""Asides about other matters, up to the comma."""

BEFORE: Mapping[str, re.Pattern[str]] = {
    "negation": cues(r"""
no ~ (?:evidence|proof|indication|sign|suggestion|support)
(?:unable|impossible|fail\w*) to
nothing to suggest
argu\w+ against
(?:evidence|speaks?|spoke) against
refut\w*
disprov\w*
lack(?:s|ed|ing)?
far from
neither
absen(?:t|ce)
exclud\w+ (?:a|the|any) \w+
incapable of
useless
unrelated
exonerat\w*
(?<!twice )(?<!times )as (?:often|frequent|frequently|common|high)
(?:was|were|is|are) ~ (?:similar|identical|comparable|equal|unchanged|unaffected|the same)
no (?:part|role|relation|link|association|connection)
ineffective
no better
despite
persisted
no (?:\w+ )?(?:effect|benefit|influence|impact|value|use)
not (?:\w+ )?(?:alleviated|relieved|improved|effective|superior|better|help\w*)
"""),
    "question": cues(r"""
whether
(?:not|un) ?(?:yet |fully |entirely |well )?(?:known|clear|certain|sure|established|settled|proven|agreed)
uncertainty
(?:question|issue) of
controvers\w*
disput\w*
debat\w*
little ~ (?:is )?(?:known|data|evidence|information)
(?:yet|still|remains?) to be
(?:know|clear|ask|asked|wonder\w*|issue|see) (?:if|how|why)
open (?:question|issue)
before (?:one|we|it|this) can
(?<!no )(?<!without )(?<!beyond )doubt(?:ful)?
contested
needs? ~ to be ~ (?:studied|clarified|investigated|examined|confirmed|determined)
opinions? (?:differ|vary|are divided)
no (?:agreement|consensus)
conflicting
inconclusive
contradictory
equivocal
(?:insufficient|limited|scarce|scant|sparse|weak|little|few|no) ~ (?:data|information|studies)
(?:insufficient|limited|scarce|scant|sparse|weak|little) ~ (?:evidence|proof|support)
further (?:research|study|studies|work|trials) (?:is|are) (?:needed|required|necessary)
(?:extent|degree) to which
which patients
"""),
    "hypothesis": cues(r"""
hypothes[ie]s\w*
hypothesi[sz]\w*
hypothetical\w*
postulat\w*
speculat\w*
theor(?:y|ies|etical|etically|i[sz]ed?)
conjectur\w*
(?:we|one|models?) (?:would |had |have )?(?:predict|expect|anticipat|reason|propos|assum|presum|believ
|suspect|surmis|suppos|guess|envisag|posit)(?:s|ed|e)?
(?:was|were|is|are|been) ~ (?:predicted|expected|anticipated|proposed|assumed|presumed|believed|thought
|supposed|posited)
conceivable ~ explanation
(?:one|another) explanation
(?:idea|notion|belief|premise|proposition|assumption|prediction|expectation|rationale|view
|supposition) ~~ (?:that|was|is)
on (?:theoretical|these) grounds
in (?:theory|principle)
presumed
putative
put forward
would
prompted
if ~~ (?:is|are|be|were) (?:right|true|correct)
"""),
    "conditional": cues(r"""
unless
assum(?:ing|e) that
provided
suppos(?:e|ing)
in case(?! of| reports?)
in the (?:case|event) that
even if
"""),
    "aim": cues(rf"""
(?:aims?|purposes?|objectives?|goals?|intentions?|targets?) (?:of|was|were|is|are)
aim(?:ed|s|ing)? (?:at|to)
(?:designed|undertaken|conducted|carried out|performed|planned|initiated|set up|done|intended) to
we ~ (?:sought|wish\w*|want\w*|set out|intend\w*|attempt\w*|tried|aim\w*|plan\w*|undertook|investigat\w*
|examin\w*|explor\w*)
(?:in order|so as|with a view) to
(?:here|now) we ~ (?:examine|investigate|study|attempt|ask|explore|test|assess|address)
(?:present|this|our) ~ {_WORK} (?:examin|investigat|explor|address|assess|evaluat|test|ask|concern|deal|look)\w*
(?:interest|interested) (?:was |is )?in
sought
attempt(?:s|ed)? to
question ~ (?:addressed|asked|posed)
hope[ds]? to
we ~ look(?:ed)? (?:at|for|into)
^(?:objectives?|aims?|purposes?|goals?|background and aims?):
(?:was|were) (?!found|shown|seen|observed|noted|reported|due|sufficient|able)\w+ to {_PROBE}
"""),
    "cited": cues(r"""
(?:previously|already) (?:been )?(?:reported|described|shown|published)
(?:previous|earlier|prior|other|others|past|recent|several|published|many|various|preceding
|most) ~ (?:stud(?:y|ies)|works?|reports?|trials?|authors?|investigators?|researchers?|observations?
|experiments?|literature|meta analys[ie]s|reviews?|workers|groups?|publications?|papers?|clinicians
|physicians|findings|investigations?|teams?|laborator\w+|series)
et al\.?
and ~ (?:colleagues|co ?workers|associates|collaborators)
(?:have|has) (?:also |previously |often |long |recently |occasionally |rarely |only )?been ~ (?:reported
|described|shown|claimed|said|documented|implicated|suggested|demonstrated|observed|noted|associated|linked
|blamed|proposed|attributed|recommended|advocated|credited|recogni[sz]ed|held)
according to
(?:the|in) literature
manufacturer\w*
cochrane
historical\w*
(?:a|recent) meta analysis
in the (?:18|19|20)\d0s
ancient
(?:by|of) others
others (?:have|had|also)
(?:\w+ )?(?:groups|teams|authors|investigators|researchers|workers) (?:have |had )?(?:blamed|found|reported
|described|saw|seen|observed|claimed|noted|showed)
\[\d+(?:[, ]+\d+)*\]
elsewhere
(?:is|are|was|were) (?:said|claimed|alleged|reputed|stated|written) (?:to|by|that|in)
reportedly
textbooks?
anecdotal\w*
\w+ \((?:18|19|20)\d\d\)
pointed out
had ~ (?:linked|reported|shown|described)
"""),
    "hedge": cues(r"""
may
might
could(?! not be| be (?:elicited|reproduced|evoked|produced|induced|prevented|achieved))
possib(?:ly|le|ility|ilities)
perhaps
maybe
(?<!more )(?<!less )(?:un)?likely
probab(?:ly|le)
(?<!action )(?<!evoked )potential(?:ly)?(?! life| fatal| serious| lethal)
conceivabl[ey]
suspect\w*
suspicion\w*
presumabl[ey]
arguabl[ey]
plausib\w*
(?:appear|seem)(?:s|ed)? ~ (?:to|that|likely|as)
seem
suggest\w*
hint\w*
candidate
promis(?:e|ing)
impression
tentative\w*
rais\w+ the ~ (?:possibility|question|suspicion)
point(?:s|ed)? (?:to|towards)
apparently
a chance
culprit
impl(?:y|ies|ied)
"""),
    "advice": cues(r"""
should
must
ought to
needs? to
(?:have|has) to
warn\w*
good practice
watch(?:ful)? for
deserves?
need to be
^(?:check|monitor|avoid|beware|start|use|stop)
recommend\w*
advis\w*
contraindicat\w*
consider
caution\w*
avoid(?:ed)?
(?:be|is|are) (?:alert|aware|vigilant|urged)
do not
guidelines?
warrant\w*
prudent
urged
wise
be (?:offered|considered|given|monitored|tried|avoided|warned)
(?:imperative|essential|important|mandatory) (?:to|that)
"""),
    "apart": cues(r"""
long before
O (?:\S+ ){0,6}before ~ S
O ~ (?:preceded|antedated|predated) ~~ S
(?:his|her|whose|the patient's) ~ (?:brother|mother|father|sister|uncle|aunt|cousin|son|daughter|twin|family)
family history
"""),
    "background": cues(r"""
history of
pre ?existing
known to have
long before
at baseline
(?:prior|previous|antecedent|concomitant|coexisting) O
(?:prior|previous|past|known) ~ (?:diagnos[ie]s|episodes?|bouts?) of
(?:prescribed|given|used|begun|started|administered|indicated|taken) ~ for ~~ O
(?:in|for|to) ~ (?:patients?|women|woman|man|men|child|children|infants?|subjects|adults?|people) (?:with
|who had) (?:prior|previous|known|established|chronic|active|underlying) O
(?:patients?|women|woman|man|men|child|children|infants?|subjects|adults?|people) with ~ O ~~ (?:received
|receiving|given|took|taking|started|treated with|on) ~ S
"""),
}
"""Cues before the later of the two mentions: their scope runs forward to it."""

AFTER: Mapping[str, re.Pattern[str]] = {
    "negation": cues(r"""
(?:was|were|is|are|can be|could be) ~ (?:refuted|excluded|disproved|ruled out|absent|lacking)
(?:was|were) ~ (?:unrelated|unchanged|unaffected)
(?<!twice )(?<!times )as (?:often|frequent|frequently|common|high)
(?:was|were|is|are) ~ (?:similar|identical|comparable|equal) (?:to|with|in|between)
unchanged
"""),
    "question": cues(r"""
(?:remain\w*|is|are|was|were) ~ (?:unclear|unknown|uncertain|unresolved|unproven|unproved|debated|disputed
|controversial|unsettled|questionable|doubtful|moot|contested)
needs? (?:to be|further|more) ~ (?:studied|clarified|investigated|examined|confirmed|determined|study|research|work)
(?:remain\w*|is|are|was|were) not ~ (?:known|clear|understood|established|settled|certain|proven|demonstrated)
(?:still|an) open
unsolved
(?:poorly|incompletely|not well|ill|insufficiently|inadequately) (?:understood|defined|characteri[sz]ed
|documented|studied|known)
(?:is|are|remains?) (?:inconclusive|equivocal|conflicting|contradictory|limited|scarce|sparse|weak|mixed|elusive)
has to be
(?:has|have|is|are|remains?) (?:yet|still) to be
remains? to be
a matter of
await\w*
lacking
in (?:doubt|dispute|question)
if at all
"""),
    "hypothesis": cues(r"""
await\w* (?:proof|confirmation)
a prediction
is (?:only |merely )?(?:a|an) (?:assumption|hypothesis|theory|guess)
was (?:tested|hypothesi[sz]ed|postulated|assumed|expected|predicted|proposed)
was put to the test
(?:has|have) ~ been (?:proposed|postulated|hypothesi[sz]ed|advanced)
"""),
    "conditional": cues(r"""
if (?:there is one|there is any|any|at all|so)
"""),
    "cited": cues(r"""
(?:have|has|had) ~ been ~ (?:reported|described|documented|shown|claimed|published|noted|suggested|observed
|demonstrated)
elsewhere
(?:by|of) (?:others|other \w+)
in (?:the literature|earlier|previous) ~
\[\d+(?:[, ]+\d+)*\]
\(\w+(?: et al\.?| and \w+)?,? (?:18|19|20)\d\d\)
"""),
    "hedge": cues(r"""
(?:is|was|were|are|has been|have been) ~ (?:suspected|possible|conceivable|presumed|probable|plausible|likely
|suggested)
(?:cannot|can not|could not) be (?:ruled out|excluded)
seems? (?:possible|likely)
"""),
    "advice": cues(r"""
(?:is|are) (?:recommended|advised|contraindicated|warranted|mandatory|advisable)
(?:should|must|ought to|needs? to) be (?:monitored|avoided|tried|offered|considered|given)
"""),
}
"""Cues after both mentions: their scope runs back to them."""

METHOD = cues(rf"""
(?:was|were|is|are|be|being|we|and|who) ~ {_MEASURED}
we (?:randomly )?assigned
we ~ (?:recorded|documented|collected|counted|obtained|gathered|used|gave|administered|compared)
(?:primary|secondary|main) ~ (?:outcomes?|end ?points?|measures?|variables?)
(?:outcomes?|end ?points?) (?:was|were|included)
questionnaire\w*
regression
protocol
criteria
diary
in random order
(?:received|given|took|taking) S (?:or|and|versus|vs) placebo
recorded (?:on|with|by|in those)
documented (?:with|by)
double blind
codes? (?:of|for)
needed for
served as
meant
(?:was|were) taken (?:as|from|to)
""")
WITHDRAWN = cues(r"""
withdr\w*
discontinu\w*
stopp(?:ed|ing)
cessation
removal
omi(?:t|ssion)\w*
dose reduction
substitut\w*
replac\w*
switch\w*
""")
"""Words for the end of a treatment: whatever resolves then was its effect."""
HEALS = cues(r"""
by
with
after
on
during
under
following
once
upon
to
through
from
when
despite
""")
"""Words between something that improved and its cause."""
CASE = cues(r"""
to (?:describe|report|present) ~~ (?:cases?|patients?|man|woman|child|infant)
""")
"""An aim that presupposes its content."""
UNEXPLAINED = cues(r"""
(?:mechanisms?|pathomechanisms?|pathogenesis|pathophysiology|reasons?)
""")
PURPOSE = re.compile(rf"^(?:\S+ )?to (?:\S+ )?{_PROBE}\b")
CLAUSE_IF = re.compile(
    r"(?<!\w)if(?= )|(?:^|(?<=, )|(?<=; ))"
    r"(?:should|were|had|when|once|whenever|as soon as|as long as|only when|in case|for patients in whom)\b"
)
GROWTH = cues(r"""
develop(?:ment|ing)
occurrence
appearance
onset
emergence
recurrence
induction
production
generation
increases?
increased
progression
worsening
exacerbations?
deterioration
relapses?
toxicity
complications?
(?:side|adverse|toxic|untoward) (?:effects?|events?|reactions?)
""")
"""Words for an increase that a word of relief may govern: `prevented the development of`."""
SEMIFACTIVE = re.compile(r"^(?:when|once|whenever|as soon as|as long as)\b")
