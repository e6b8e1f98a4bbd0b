"""The words that sample texts are made of."""

# ruff: noqa: RUF001

BRANDS = (
    "Nordlys", "Aurelio", "Kessler & Söhne", "Atelier Fournier", "Blue Heron", "Tanaka", "Marlowe",
    "Ostrava Werke", "La Huerta", "Grønland", "Hartwell", "Pinecrest", "Żubr", "Casa Verde",
    "Lindqvist", "O'Malley", "Sakura 工房", "Bergström", "Delta-V", "Ferreira Irmãos", "Quill",
    "Maison Élan", "Ironbark", "Zephyr", "Kowalski", "Sol y Luna", "Vetro", "Highlander", "Mokuzai",
    "Tessellate", "Copper Kettle", "Eichenhof", "Petit Bateau Bleu", "Rowan & Rye", "Dünenwind",
    "Al-Waha", "Çınar", "Northwind", "Brightwater", "Fjällräv",
)  # fmt: skip

# Per language: how often it is used, adjectives, nouns. Every adjective goes with every noun.
LANGUAGES = (
    (
        10,
        (
            "Foldable", "Classic", "Lightweight", "Heavy-Duty", "Waterproof", "Organic", "Compact",
            "Cordless", "Stainless", "Hand-Made", "Recycled", "Ergonomic", "Vintage", "Slim",
            "Insulated", "Adjustable", "Stackable", "Breathable", "Magnetic", "Portable",
        ),
        (
            "Chef's Knife", "Backpack", "Desk Lamp", "Water Bottle", "Running Shoe", "Rain Jacket",
            "Coffee Grinder", "Office Chair", "Bread Board", "Notebook", "Tent", "Sleeping Bag",
            "Frying Pan", "Toolbox", "Bookshelf", "Wool Blanket", "Headphones", "Bike Light",
            "Garden Hose", "Teapot", "Wall Clock", "Travel Mug", "Yoga Mat", "Extension Cord",
            "Cutting Board", "Picture Frame", "Dog Leash", "Shower Curtain", "Serving Bowl",
            "Scarf",
        ),
    ),
    (
        4,
        (
            "Robuste", "Leichte", "Klassische", "Große", "Kleine", "Wetterfeste", "Praktische",
            "Elegante", "Rostfreie", "Handgefertigte",
        ),
        (
            "Schreibtischlampe", "Trinkflasche", "Pfeffermühle", "Werkzeugkiste", "Gießkanne",
            "Bratpfanne", "Wolldecke", "Küchenwaage", "Regenjacke", "Fußmatte", "Brotdose", "Säge",
        ),
    ),
    (
        3,
        ("Petite", "Grande", "Belle", "Solide", "Élégante", "Légère", "Étanche", "Rétro"),
        (
            "Lampe de chevet", "Théière", "Poêle à crêpes", "Valise", "Écharpe", "Gourde", "Montre",
            "Couverture", "Bougie parfumée", "Planche à découper", "Chaise", "Étagère",
        ),
    ),
    (
        3,
        ("Pequeña", "Cómoda", "Clásica", "Ligera", "Resistente", "Plegable", "Rústica"),
        ("Mochila", "Sartén", "Lámpara", "Silla", "Manta", "Cafetera", "Toalla", "Cesta de baño"),
    ),
    (
        1,
        ("軽量", "折りたたみ式", "防水", "手作り", "木製"),
        ("リュックサック", "急須", "包丁", "デスクライト", "水筒", "座布団"),
    ),
    (1, ("轻便", "不锈钢", "可折叠", "经典"), ("背包", "茶壶", "台灯", "雨伞", "保温杯")),
    (1, ("صغير", "كبير", "تقليدي"), ("إبريق شاي", "مصباح", "حقيبة", "بساط")),
    (1, ("קטן", "קלאסי"), ("תרמיל", "מנורה", "קומקום")),
    (1, ("Składany", "Drewniany", "Mały"), ("stołek", "dzbanek", "plecak", "świecznik")),
    (1, ("Küçük", "Şık", "Ağır"), ("çaydanlık", "çanta", "ışık")),
)  # fmt: skip

VARIANTS = (
    "", "", "", "", "black", "white", "red", "navy", "olive", "sand", "XS", "S", "M", "L", "XL",
    "250 ml", "500 ml", "1 l", "1,5 l", "2 kg", "40 cm", "60 × 40 cm", "Ø 28 cm", "Gr. 42",
    "3-pack",
    '15.6"', "½ in", "No. 5", "(2024)", "Mk II", "Edition 3", "grün", "bleu",
)  # fmt: skip

OPENINGS = (
    "Made for everyday use: ", "A favourite of our customers. ", "Back in stock! ", "New: the ",
    "Designed in Copenhagen and made to last. ", "Für Küche, Garten und Werkstatt: ",
    "Pensé pour durer. ", "Small enough for a drawer, strong enough for a workshop. ",
    "Tested for 10,000 cycles. ", "Ideal as a gift; ", "Hecho a mano en Valencia. ",
    "Our buyers' choice this season: ", "Simple, quiet and easy to clean. ",
    "Award-winning design. ",
)  # fmt: skip
MIDDLES = (
    " comes with a five-year warranty", " fits every standard mount", " is dishwasher safe",
    " weighs less than you would expect", " is made of 80% recycled material",
    " wird klimaneutral verschickt", " est livrée avec sa housse", " needs no tools to assemble",
    " holds up to 25 kg", " keeps drinks cold for 24 h (hot for 12 h)", " has rounded edges",
    " is available in many colours", " se limpia con un paño húmedo", " folds flat in seconds",
)  # fmt: skip
CLOSINGS = (
    ".", " and is easy to repair: spare parts are in stock.", ". Batteries are not included.",
    ". Care: wipe with a damp cloth, do not bleach.", ". Please recycle the packaging.",
    ". Maße und Gewicht siehe Datenblatt.", ". Each piece is unique; colours may vary slightly.",
    ". Suitable for indoor and outdoor use.", " - satisfaction guaranteed or your money back.",
    ". Livraison en 48 h.", ". Ships from Rotterdam, Poznań or Leeds.", ". See the size guide.",
)  # fmt: skip

AFTERTHOUGHTS = (
    "", "", "", " Made to last.", " As seen on TV!", " Pensé pour durer.", " Jetzt neu.",
    " Tested for 10,000 cycles.", " Award-winning design.", " Hecho a mano en Valencia.",
)  # fmt: skip

CATEGORIES = (
    "Home/Kitchen/Knives", "Home/Kitchen/Pots & Pans", "Home/Kitchen/Coffee & Tea", "Home/Lighting",
    "Home/Textiles/Blankets", "Home/Bath", "Home/Decoration/Clocks", "Office/Desks & Chairs",
    "Office/Paper", "Outdoor/Camping/Tents", "Outdoor/Camping/Sleeping", "Outdoor/Garden",
    "Outdoor/Bikes/Lights", "Sports/Running/Shoes", "Sports/Yoga", "Fashion/Women/Scarves",
    "Fashion/Men/Jackets", "Fashion/Bags", "Tools/Hand Tools", "Tools/Power Tools/Cordless",
    "Pets/Dogs", "Électronique/Audio", "Spielwaren/Holz", "食品/お茶",
)  # fmt: skip
TAGS = (
    "new", "sale", "bestseller", "eco", "gift idea", "summer", "winter", "clearance", "limited",
    "made in EU", "vegan", "back-to-school", "nur online", "soldes", "家庭用",
)  # fmt: skip

FIRST_NAMES = (
    "Anna", "Ben", "Chloé", "David", "Elif", "François", "Greta", "Hiroshi", "Inés", "Jürgen",
    "Katarzyna", "Liam", "Mei", "Noah", "Olga", "Paulo", "Quentin", "Renée", "Søren", "Tariq",
    "Ursula", "Víctor", "Wanda", "Xavier", "Yasmin", "Zoë", "Łukasz", "Ayşe", "محمد", "נועה",
)  # fmt: skip
LAST_NAMES = (
    "Anderson", "Bauer", "Castillo", "D'Angelo", "Eriksson", "Fischer", "García", "Hughes",
    "Ivanova", "Jensen", "Kowalczyk", "Lefèvre", "Müller", "Nakamura", "O'Brien", "Petrov", "Quinn",
    "Rossi", "Šimić", "Thompson", "Uçar", "van den Berg", "Wójcik", "Yıldız", "Zimmermann", "Smith",
    "Silva", "Martin", "Novák", "de la Cruz", "王", "佐藤",
)  # fmt: skip
# What stands before the @ of an e-mail address, in the order of the names above.
FIRST_LOGINS = (
    "anna", "ben", "chloe", "david", "elif", "francois", "greta", "hiroshi", "ines", "juergen",
    "kasia", "liam", "mei", "noah", "olga", "paulo", "quentin", "renee", "soren", "tariq",
    "ursula", "victor", "wanda", "xavier", "yasmin", "zoe", "lukasz", "ayse", "mohamed", "noa",
)  # fmt: skip
LAST_LOGINS = (
    "anderson", "bauer", "castillo", "dangelo", "eriksson", "fischer", "garcia", "hughes",
    "ivanova", "jensen", "kowalczyk", "lefevre", "mueller", "nakamura", "obrien", "petrov", "quinn",
    "rossi", "simic", "thompson", "ucar", "vandenberg", "wojcik", "yildiz", "zimmermann", "smith",
    "silva", "martin", "novak", "delacruz", "wang", "sato",
)  # fmt: skip
COMPANIES = ("GmbH", "Ltd.", "S.A.", "B.V.", "Inc.", "AB", "Sp. z o.o.", "S.r.l.", "株式会社")
STREETS = (
    "Main Street", "High Street", "Hauptstraße", "Rue de la Paix", "Calle Mayor", "Via Roma",
    "Storgatan", "Marszałkowska", "Station Road", "Bahnhofstraße", "Avenue Victor Hugo", "Elm Row",
)  # fmt: skip
# City, state, first digits of the postcode, country, latitude, longitude.
PLACES = (
    ("Berlin", "BE", "10", "DE", 52.52, 13.405),
    ("München", "BY", "80", "DE", 48.137, 11.575),
    ("Paris", "IDF", "75", "FR", 48.857, 2.352),
    ("Saint-Étienne", "ARA", "42", "FR", 45.44, 4.387),
    ("Madrid", "MD", "28", "ES", 40.417, -3.703),
    ("A Coruña", "GA", "15", "ES", 43.362, -8.412),
    ("Roma", "RM", "00", "IT", 41.893, 12.483),
    ("Firenze", "FI", "50", "IT", 43.77, 11.258),
    ("London", "LND", "EC", "GB", 51.507, -0.128),
    ("New York", "NY", "10", "US", 40.713, -74.006),
    ("Boston", "MA", "02", "US", 42.36, -71.058),
    ("San José", "CA", "95", "US", 37.338, -121.886),
    ("Łódź", "LD", "90", "PL", 51.759, 19.456),
    ("東京", "13", "10", "JP", 35.69, 139.692),
    ("الكويت", "KU", "13", "KW", 29.376, 47.977),
    ("Malmö", "M", "21", "SE", 55.605, 13.004),
)
USER_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Safari/605.1",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Mobile/15E148",
)
