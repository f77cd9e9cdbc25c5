super::cases![];
