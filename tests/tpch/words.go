package tpch

// Word lists. Queries look for some of these words; the rest fills.
var (
	nouns = []string{"requests", "deposits", "packages", "accounts", "invoices", "parcels", "orders", "ideas", "theories",
		"instructions", "contracts", "ledgers", "pallets", "harbours", "warehouses", "journeys", "letters", "engines"}
	verbs      = []string{"sleep", "wake", "haggle", "travel", "wait", "arrive", "integrate", "nod", "settle", "hurry", "drift", "rest"}
	adjectives = []string{"special", "pending", "unusual", "express", "regular", "final", "ironic", "even", "bold", "silent",
		"careful", "quick", "slow", "close", "dogged", "busy"}
	adverbs      = []string{"quickly", "slowly", "carefully", "boldly", "silently", "finally", "evenly", "closely", "never", "rarely"}
	prepositions = []string{"about", "above", "among", "along", "after", "before", "beside", "into", "near", "under", "across"}

	colours = []string{"almond", "antique", "aquamarine", "azure", "beige", "bisque", "black", "blue", "brown", "chiffon",
		"chocolate", "coral", "cream", "cyan", "dark", "drab", "firebrick", "forest", "frosted", "ghost", "goldenrod", "green",
		"grey", "honeydew", "indian", "ivory", "khaki", "lace", "lavender", "lemon", "lime", "linen", "magenta", "maroon",
		"metallic", "midnight", "mint", "misty", "navy", "olive", "orange", "orchid", "pale", "peach", "pink", "plum",
		"powder", "puff", "purple", "red", "rose", "royal", "saddle", "salmon", "sandy", "sienna", "sky", "slate", "smoke",
		"snow", "spring", "steel", "tan", "thistle", "tomato", "turquoise", "violet", "wheat", "white", "yellow"}

	typeSizes      = []string{"STANDARD", "SMALL", "MEDIUM", "LARGE", "ECONOMY", "PROMO"}
	typeFinishes   = []string{"ANODIZED", "BURNISHED", "PLATED", "POLISHED", "BRUSHED"}
	typeMetals     = []string{"TIN", "NICKEL", "BRASS", "STEEL", "COPPER"}
	containerSizes = []string{"SM", "LG", "MED", "JUMBO", "WRAP"}
	containerKinds = []string{"CASE", "BOX", "BAG", "JAR", "PKG", "PACK", "CAN", "DRUM"}

	segments     = []string{"AUTOMOBILE", "BUILDING", "FURNITURE", "MACHINERY", "HOUSEHOLD"}
	priorities   = []string{"1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW"}
	instructions = []string{"DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"}
	modes        = []string{"REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB"}

	regions = []string{"AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"}
)

// nations are the nations by key, with the keys of their regions.
var nations = []struct {
	name   string
	region int
}{
	{"ALGERIA", 0}, {"ARGENTINA", 1}, {"BRAZIL", 1}, {"CANADA", 1}, {"EGYPT", 4}, {"ETHIOPIA", 0}, {"FRANCE", 3}, {"GERMANY", 3},
	{"INDIA", 2}, {"INDONESIA", 2}, {"IRAN", 4}, {"IRAQ", 4}, {"JAPAN", 2}, {"JORDAN", 4}, {"KENYA", 0}, {"MOROCCO", 0},
	{"MOZAMBIQUE", 0}, {"PERU", 1}, {"CHINA", 2}, {"ROMANIA", 3}, {"SAUDI ARABIA", 4}, {"VIETNAM", 2}, {"RUSSIA", 3},
	{"UNITED KINGDOM", 3}, {"UNITED STATES", 1},
}
