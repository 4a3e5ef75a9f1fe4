//! What generated stories are made of: lists of short texts in each language.

use crate::scribe::style::Language;

/// The lists of one language.
pub(super) struct Words {
    language: Language,
    pub(super) heroes: &'static [&'static str],
    pub(super) places: &'static [&'static str],
    pub(super) objects: &'static [&'static str],
    pub(super) hero_facts: &'static [&'static str],
    pub(super) place_facts: &'static [&'static str],
    pub(super) object_facts: &'static [&'static str],
    pub(super) emotions: &'static [&'static str],
    pub(super) audiences: &'static [&'static str],
    pub(super) messages: &'static [&'static str],
    pub(super) themes: &'static [&'static str],
    /// Words that the mock's grammar does not use, so that only a planted defect brings them in.
    pub(super) banned: &'static [&'static str],
    pub(super) topics: &'static [&'static str],
    pub(super) cliches: &'static [&'static str],
    pub(super) traits: &'static [&'static str],
    pub(super) progressions: &'static [&'static str],
    pub(super) objectives: &'static [&'static str],
    pub(super) conflicts: &'static [&'static str],
    pub(super) thoughts: &'static [&'static str],
    pub(super) tensions: &'static [&'static str],
    pub(super) anchors: &'static [&'static str],
    pub(super) acts: &'static [&'static str],
}

impl Words {
    pub(super) fn of(language: Language) -> &'static Self {
        match language {
            Language::En => &ENGLISH,
            Language::Fr => &FRENCH,
        }
    }

    pub(super) fn title(object: &str, place: &str) -> String {
        format!("{object}, {place}")
    }

    pub(super) fn premise(&self, hero: &str, object: &str, place: &str) -> String {
        match self.language {
            Language::En => format!("{hero} comes back to {place} to look for {object}."),
            Language::Fr => format!("{hero} revient vers {place} pour chercher {object}."),
        }
    }
}

static ENGLISH: Words = Words {
    language: Language::En,
    heroes: &["Mara", "Tobias", "Ilse", "Anselm", "Wren", "Jonas", "Edda", "Silas"],
    places: &["the harbour", "the mill town", "the salt road", "the upper valley", "the island", "the old quarter"],
    objects: &["the brass key", "the last letter", "the lantern", "the ledger", "the broken compass", "the photograph"],
    hero_facts: &[
        "never lies to a child",
        "cannot swim",
        "has been away for eleven years",
        "keeps every promise",
        "fears the dark",
    ],
    place_facts: &[
        "has no road in winter",
        "sleeps behind its walls",
        "was built by one family",
        "loses its bell in this story",
    ],
    object_facts: &[
        "must not be opened before the end",
        "belongs to someone else",
        "is older than the town",
        "is one of two",
    ],
    emotions: &["dread", "hope", "grief", "wonder", "shame", "relief", "longing", "anger", "calm", "guilt"],
    audiences: &["adults", "young adults", "readers of quiet mysteries", "everyone over twelve"],
    messages: &[
        "Nobody comes home to the place that was left.",
        "A promise outlives the one it was made to.",
        "What is hidden for love is still hidden.",
        "Courage is mostly a matter of staying.",
        "The truth needs a witness.",
    ],
    themes: &["return", "loyalty", "memory", "debt", "forgiveness", "silence", "inheritance", "courage"],
    banned: &["suddenly", "very", "literally", "utterly", "basically", "as if by magic", "orchid"],
    topics: &["war crimes", "gambling", "illness of children", "politics of today"],
    cliches: &[
        "time stood still",
        "cold as ice",
        "dead of night",
        "a blessing in disguise",
        "every fibre of being",
        "at long last",
    ],
    traits: &[
        "short sentences at turning points",
        "weather as mood",
        "objects that return",
        "no adverbs of manner",
        "dry humour",
    ],
    progressions: &["from denial to knowledge", "from flight to return", "from debt to gift", "from noise to silence"],
    objectives: &[
        "find out who holds the key",
        "leave before the tide turns",
        "ask for help without saying why",
        "bring the letter to its owner",
        "keep the secret one more day",
        "open the door that was sealed",
        "learn what the ledger says",
        "say goodbye without words",
    ],
    conflicts: &[
        "the one who knows will not speak",
        "there is time for one errand and two are needed",
        "an old debt is called in",
        "the way back is watched",
        "loyalty and truth pull apart",
        "nobody believes the warning",
    ],
    thoughts: &[
        "the stranger has been here before",
        "the key fits another door",
        "someone opened the letter",
        "the boat will not come back",
        "the brother knew all along",
        "nobody is following",
    ],
    tensions: &["suspense", "dramatic irony", "moral doubt", "a race against the clock", "unspoken anger"],
    anchors: &["smoke and tar", "cold stone", "a bell over water", "bread and salt", "wet wool", "lamp light on glass"],
    acts: &[
        "arrives and finds the gate shut",
        "counts the coins and comes up short",
        "hears a name that should be forgotten",
        "gives away the only lamp",
        "reads the last page first",
        "refuses the offer",
        "hides the key in plain sight",
        "turns back at the bridge",
    ],
};

static FRENCH: Words = Words {
    language: Language::Fr,
    heroes: &["Maëlle", "Anselme", "Solène", "Gaspard", "Odile", "Florent", "Aurore", "Basile"],
    places: &["le port", "la vallée", "l'île", "le vieux quartier", "la route du sel", "le moulin"],
    objects: &[
        "la clé de cuivre",
        "la dernière lettre",
        "la lanterne",
        "le registre",
        "la boussole",
        "la photographie",
    ],
    hero_facts: &[
        "ne ment jamais à un enfant",
        "ne sait pas nager",
        "revient après onze ans",
        "tient ses promesses",
        "craint le noir",
    ],
    place_facts: &[
        "n'a pas de route en hiver",
        "dort derrière ses murs",
        "fut bâti par une famille",
        "perd sa cloche ici",
    ],
    object_facts: &[
        "ne doit pas servir avant la fin",
        "appartient à quelqu'un d'autre",
        "est plus vieux que la ville",
        "existe en double",
    ],
    emotions: &["crainte", "espoir", "deuil", "honte", "soulagement", "désir", "colère", "calme", "remords", "joie"],
    audiences: &["adultes", "jeunes adultes", "tout public dès douze ans"],
    messages: &[
        "On ne revient jamais là d'où l'on est parti.",
        "Une promesse survit à celui qui l'a reçue.",
        "Ce que l'on cache par amour reste caché.",
        "La vérité a besoin d'un témoin.",
    ],
    themes: &["retour", "loyauté", "mémoire", "dette", "pardon", "silence", "héritage", "courage"],
    banned: &["soudain", "très", "vraiment", "littéralement", "absolument", "comme par magie", "orchidée"],
    topics: &["crimes de guerre", "jeux d'argent", "politique du jour"],
    cliches: &[
        "le temps s'arrêta",
        "froid comme la glace",
        "un mal pour un bien",
        "au plus profond de soi",
        "à perte de vue",
    ],
    traits: &["phrases courtes aux tournants", "le temps comme humeur", "objets qui reviennent", "humour sec"],
    progressions: &["du déni au savoir", "de la fuite au retour", "de la dette au don", "du bruit au silence"],
    objectives: &[
        "découvrir qui tient la clé",
        "partir avant la marée",
        "demander de l'aide sans dire pourquoi",
        "porter la lettre à son destinataire",
        "garder le secret un jour encore",
        "ouvrir la porte scellée",
        "dire adieu sans paroles",
    ],
    conflicts: &[
        "celui qui sait ne parle pas",
        "le temps manque pour deux courses",
        "une vieille dette revient",
        "le chemin du retour est gardé",
        "loyauté et vérité se séparent",
    ],
    thoughts: &[
        "l'étranger est déjà venu",
        "la clé ouvre une autre porte",
        "quelqu'un a ouvert la lettre",
        "le bateau ne reviendra pas",
        "le frère savait tout",
    ],
    tensions: &["suspense", "ironie dramatique", "doute moral", "course contre la montre"],
    anchors: &["fumée et goudron", "pierre froide", "cloche sur l'eau", "pain et sel", "laine mouillée"],
    acts: &[
        "arrive et trouve la grille fermée",
        "compte les pièces et il en manque",
        "entend un nom que l'on devrait oublier",
        "donne la seule lampe",
        "lit la dernière page d'abord",
        "refuse l'offre",
        "fait demi-tour au pont",
    ],
};
